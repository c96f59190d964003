//! The revision that the relay forwards by: where it comes from, which one wins, and what is kept of it.
//!
//! ```text
//! api        watches the ConfigMaps through the API server --.  (crate pod)
//! mounted    the same ConfigMaps as files in the pod ---------+--> choice: the highest number --> relay: activate
//! last_good  what was in use before this container ----------'                  |                    |
//!            ^------------------------------------------------------------------+-- keeps it, and --> history
//! ```

pub(crate) mod history;
pub(crate) mod last_good;

pub(crate) use pod::{Offer, Source, api, choice, mounted, offers};
