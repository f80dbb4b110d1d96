//! The use cases together, over stores that fail.

mod faults;
