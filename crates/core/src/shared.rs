//! A value that several hold.

use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value in one place in memory that snapshots, windows and ledgers hold together. A clone is a further
/// holder; whoever changes the value changes a copy of its own, unless it is held by nobody else. It is
/// written as the value itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// Whether both are holders of one value. Where they are not, the values may be equal all the same.
    pub fn is_one(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_changers_own() {
        let before = Shared::from(vec![1, 2]);
        let mut after = before.clone();
        assert!(std::ptr::eq(before.as_ptr(), after.as_ptr()) && before.is_one(&after), "one place for both");
        after.push(3);
        assert_eq!((&*before, &*after), (&vec![1, 2], &vec![1, 2, 3]));
        assert!(!before.is_one(&after) && !before.is_one(&Shared::from(vec![1, 2])));
        let mut alone = Shared::from([1, 2]);
        let place = alone.as_ptr();
        alone[0] = 3;
        assert!(std::ptr::eq(place, alone.as_ptr()), "held by nobody else, it is changed where it is");
    }
}
