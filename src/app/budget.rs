//! How much one run may do: the platform grants each a number of operations.

use std::cell::Cell;

/// Operations that may still be done.
pub struct Budget(Cell<usize>);

impl Budget {
    /// A budget of that many operations.
    #[must_use]
    pub const fn of(operations: usize) -> Self {
        Self(Cell::new(operations))
    }

    /// Takes `cost` out, if that much is left; gives whether it was.
    pub fn take(&self, cost: usize) -> bool {
        let Some(left) = self.0.get().checked_sub(cost) else {
            return false;
        };
        self.0.set(left);
        true
    }

    /// Takes out as many times `cost` as there is left, at most `times`; gives how many.
    pub fn take_times(&self, cost: usize, times: usize) -> usize {
        let times = times.min(self.0.get().checked_div(cost).unwrap_or(0));
        self.take(cost.saturating_mul(times));
        times
    }
}
