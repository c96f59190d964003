//! What the test's pod is told.

use clap::{Args, value_parser};
use crds::BorderRelay;
use telemetry::Log;

#[derive(Debug, Clone, Args)]
pub(crate) struct ProbeOptions {
    /// The fleet to make: a BorderRelay as JSON, without next hops; `replicas: 0` sends no packets
    #[arg(long, value_name = "JSON", env = "CULVERT_PROBE_FLEET", value_parser = fleet)]
    pub(crate) fleet: Box<BorderRelay>,

    /// The pod that this runs in, in the fleet's namespace and on its networks: what is made belongs to it
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub(crate) pod: String,

    /// How long the fleet may take until it is ready
    #[arg(long, value_name = "SECONDS", env = "CULVERT_PROBE_TIMEOUT_SECONDS", default_value_t = 120,
          value_parser = value_parser!(u32).range(1..=3600))]
    pub(crate) timeout_seconds: u32,

    #[command(flatten)]
    pub(crate) log: Log,
}

fn fleet(text: &str) -> Result<Box<BorderRelay>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
