//! The engine against the reference model: random fleets, random packets, and after every packet the same verdict, reason,
//! domain and bytes; at the end the same counters.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p reference --test differential` looks longer.

use proptest::prelude::*;

#[path = "differential/build.rs"]
mod build;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/datagrams.rs"]
mod datagrams;
#[path = "differential/fleets.rs"]
mod fleets;
#[path = "differential/model.rs"]
mod model;
#[path = "differential/play.rs"]
mod play;
#[path = "differential/scenario.rs"]
mod scenario;
#[path = "differential/subject.rs"]
mod subject;
#[path = "differential/wire.rs"]
mod wire;

/// At least so many; the environment may ask for more. Failures are not remembered in a file: the contract still grows.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(2000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn engine_and_model_agree(scenario in scenario::scenario()) {
        let result = play::play(&scenario);
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }
}
