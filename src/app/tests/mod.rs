//! The use cases together.

mod faults;

mod surveys;
