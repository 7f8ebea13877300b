//! Whole numbers on the command line, refused with the accepted range.

use std::fmt::Display;

/// A parser of whole numbers from `min` to `max`, both included; `T` must hold the range.
pub fn between<T>(min: u64, max: u64) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: TryFrom<u64> + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        // u64's own parser also takes a leading '+', which no other flag here does.
        let number = if text.starts_with('+') { None } else { text.parse().ok() };
        number
            .filter(|number| (min..=max).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("it must be a whole number from {min} to {max}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_in_and_everything_else_is_refused_with_the_range() {
        let parse = between::<u32>(1, 1024);
        assert_eq!((parse("1"), parse("1024")), (Ok(1), Ok(1024)));
        for bad in ["0", "1025", "-1", "+1", "1.5", "", " 1", "abc", "NaN", "18446744073709551616"] {
            assert_eq!(parse(bad), Err("it must be a whole number from 1 to 1024".to_owned()), "{bad}");
        }
    }
}
