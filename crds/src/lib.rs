//! The API of Culvert.
