//! What somebody may have meant.

/// Below this two words have too little in common.
const LEAST: f64 = 0.75;

/// The candidate that is most like a word that is none of them, as half a sentence: `; did you mean 'x'?`, or
/// nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let likeness = candidates.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let best = likeness.filter(|(like, _)| *like >= LEAST).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(String::new, |(_, known)| format!("; did you mean '{known}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let known = ["three-burners", "two-users", "yielder"];
        assert_eq!(did_you_mean("tree-burner", known), "; did you mean 'three-burners'?");
        assert_eq!(did_you_mean("xyz", known), "");
    }
}
