//! Floating point for a machine that has none.

/// A number m · 2ᵉ that is not negative, with a mantissa of 32 bits: 2³¹ ≤ m < 2³², or m = e = 0 for zero.
///
/// Every result is cut, never rounded up: it is at most the true value, and less than that by under 2⁻³¹ of
/// it. Exponents are in no danger of overflow: that would take millions of products in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number {
    mantissa: u32,
    exponent: i32,
}

impl Number {
    /// 0.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };
    /// 1: a product with it is exact.
    pub const ONE: Self = Self { mantissa: 1 << 31, exponent: -31 };

    /// A whole number; exact below 2³².
    pub fn of(value: u64) -> Self {
        let Some(top) = value.checked_ilog2() else { return Self::ZERO };
        let mantissa = if top > 31 { value >> (top - 31) } else { value << (31 - top) };
        Self { mantissa: low(mantissa), exponent: top.cast_signed() - 31 }
    }

    /// The mantissa and the exponent: as the kernel has them.
    pub fn parts(self) -> (u32, i32) {
        (self.mantissa, self.exponent)
    }

    /// Whether it is 0.
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Times another.
    #[must_use]
    pub fn product(self, other: Self) -> Self {
        let product = u64::from(self.mantissa) * u64::from(other.mantissa);
        if product == 0 {
            return Self::ZERO;
        }
        // Of two mantissas of 32 bits: 63 bits, or 64.
        let top = product >> 63;
        Self {
            mantissa: low(product >> (31 + top)),
            exponent: self.exponent + other.exponent + 31 + i32::from(top == 1),
        }
    }

    /// By another; 0 by anything, and anything by 0, is 0.
    #[must_use]
    pub fn quotient(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::ZERO;
        }
        // Of two normalised mantissas: 32 bits, or 33.
        let quotient = (u64::from(self.mantissa) << 32) / u64::from(other.mantissa);
        let top = quotient >> 32;
        Self {
            mantissa: low(quotient >> top),
            exponent: self.exponent - other.exponent - 32 + i32::from(top == 1),
        }
    }

    /// Whether it is less than another.
    pub fn less(self, other: Self) -> bool {
        if self.is_zero() || other.is_zero() {
            return self.is_zero() && !other.is_zero();
        }
        (self.exponent, self.mantissa) < (other.exponent, other.mantissa)
    }

    /// The whole part of it · 2^`scale`; `u64::MAX` for what is more.
    pub fn whole(self, scale: i32) -> u64 {
        let exponent = i64::from(self.exponent) + i64::from(scale);
        match exponent {
            _ if self.is_zero() => 0,
            ..=-32 => 0,
            33.. => u64::MAX,
            0.. => u64::from(self.mantissa) << exponent,
            _ => u64::from(self.mantissa) >> -exponent,
        }
    }
}

/// A mantissa: what was shifted to 32 bits.
#[allow(clippy::cast_possible_truncation)] // 32 bits by construction
fn low(value: u64) -> u32 {
    debug_assert!(value >> 31 == 1, "{value:#x} is not normalised");
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any bits at any length, so that small numbers and powers of 2 are as likely as large ones.
    fn words() -> impl Strategy<Value = u64> {
        prop_oneof![
            8 => (any::<u64>(), 0u32..64).prop_map(|(bits, shift)| bits >> shift),
            1 => (0u32..64).prop_map(|shift| 1 << shift),
            1 => (0u32..64).prop_map(|shift| u64::MAX >> shift),
        ]
    }

    /// Numbers with exponents of all sizes that occur: products and quotients of whole numbers.
    fn numbers() -> impl Strategy<Value = Number> {
        prop_oneof![
            words().prop_map(Number::of),
            (words(), words()).prop_map(|(a, b)| Number::of(a).product(Number::of(b))),
            (words(), words()).prop_map(|(a, b)| Number::of(a).quotient(Number::of(b))),
        ]
    }

    fn normalised(n: Number) -> bool {
        n == Number::ZERO || n.mantissa >> 31 == 1
    }

    /// m · 2^(e − from): exact.
    fn scaled(n: Number, from: i32) -> u128 {
        u128::from(n.mantissa) << (n.exponent - from)
    }

    /// `got` is `exact` cut by less than 2⁻³¹ of it.
    fn cut(got: u128, exact: u128) -> bool {
        got <= exact && (exact == 0 || (exact - got) << 31 < exact)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn a_whole_number_is_cut_to_32_bits(v in words()) {
            let n = Number::of(v);
            prop_assert!(normalised(n));
            let value = scaled(n, -31) >> 31;
            prop_assert!(cut(value, u128::from(v)));
            prop_assert!(v >> 32 != 0 || value == u128::from(v));
            prop_assert_eq!(u128::from(n.whole(0)), value);
        }

        #[test]
        fn a_product_is_cut(a in numbers(), b in numbers()) {
            let n = a.product(b);
            prop_assert!(normalised(n));
            prop_assert_eq!(n, b.product(a));
            prop_assert_eq!(a.product(Number::ONE), a);
            if a.is_zero() || b.is_zero() {
                prop_assert!(n.is_zero());
            } else {
                let exact = u128::from(a.mantissa) * u128::from(b.mantissa);
                prop_assert!(cut(scaled(n, a.exponent + b.exponent), exact));
            }
        }

        #[test]
        fn a_quotient_is_cut(a in numbers(), b in numbers()) {
            let n = a.quotient(b);
            prop_assert!(normalised(n));
            prop_assert_eq!(a.quotient(Number::ONE), a);
            if a.is_zero() || b.is_zero() {
                prop_assert!(n.is_zero());
            } else {
                // n ≤ a/b as n·b ≤ a, both in units of 2^(a.exponent − 32).
                let back = scaled(n, a.exponent - b.exponent - 32) * u128::from(b.mantissa);
                prop_assert!(cut(back, u128::from(a.mantissa) << 32));
            }
        }

        #[test]
        fn less_is_the_order_of_values(a in numbers(), b in numbers(), v in words(), w in words()) {
            let (va, vb) = (Number::of(v), Number::of(w));
            prop_assert!(!va.less(vb) || v < w);
            prop_assert!(v >> 32 != 0 || w >> 32 != 0 || va.less(vb) == (v < w));
            let from = a.exponent.min(b.exponent);
            if (a.exponent - b.exponent).abs() < 96 {
                prop_assert_eq!(a.less(b), scaled(a, from) < scaled(b, from));
            } else if !a.is_zero() && !b.is_zero() {
                prop_assert_eq!(a.less(b), a.exponent < b.exponent);
            }
            prop_assert!(!a.less(a) && (!a.less(b) || !b.less(a)));
        }

        /// The race relies on it: a clock that moves on by the least residual passes nobody's key.
        #[test]
        fn products_and_quotients_keep_the_order(a in numbers(), b in numbers(), by in numbers()) {
            if a.less(b) {
                prop_assert!(!b.product(by).less(a.product(by)));
                prop_assert!(!b.quotient(by).less(a.quotient(by)));
            }
        }

        #[test]
        fn the_whole_part_is_that_of_the_value(n in numbers(), scale in prop_oneof![-140i32..140, any::<i32>()]) {
            let e = i64::from(n.exponent) + i64::from(scale);
            let exact = match e {
                -127..=0 => u128::from(n.mantissa) >> -e,
                1..=64 => u128::from(n.mantissa) << e,
                _ if e < 0 || n.is_zero() => 0,
                _ => u128::MAX,
            };
            prop_assert_eq!(n.whole(scale), u64::try_from(exact).unwrap_or(u64::MAX));
        }
    }
}
