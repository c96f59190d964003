//! `bird.conf`: a plan in BIRD's language. A session that stays as it is keeps its lines, letter by letter, and so its
//! connection: BIRD begins anew what changed and nothing else.

mod filters;
mod session;

use std::fmt::{self, Display, Formatter};

use crate::plan::{Family, Plan, Reach};

/// How often BIRD looks at the kernel by itself, in seconds. It is told of every change; this is for what was not told.
const SCAN: u32 = 5;

/// Writes the configuration. `table`: where the relay's routes are.
pub(crate) fn render(plan: &Plan, table: u32) -> String {
    Config { plan, table }.to_string()
}

struct Config<'p> {
    plan: &'p Plan,
    table: u32,
}

impl Display for Config<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { plan, table } = *self;
        writeln!(f, "# Written by culvert-speaker; changes are lost.")?;
        writeln!(f, "log stderr all;")?;
        writeln!(f, "timeformat protocol iso long us;")?;
        writeln!(f, "router id {};", plan.router_id)?;
        writeln!(f, "\nprotocol device {{ scan time {SCAN}; }}")?;
        writeln!(
            f,
            "\n# Sessions name their own intervals. It is there without any, so that the first one restarts nothing."
        )?;
        writeln!(f, "protocol bfd bfd1 {{ strict bind on; debug {{ states, events }}; }}")?;
        for family in Family::ALL {
            filters::sets(f, &plan.announcements, family)?;
            filters::from_relay(f, &plan.announcements, family)?;
            kernel(f, family, table)?;
        }
        router_advertisements(f, plan)?;
        for session in &plan.sessions {
            filters::to_peer(f, session, plan.phase)?;
            session::protocol(f, session)?;
        }
        Ok(())
    }
}

/// The relay's routes: learnt, and never written.
fn kernel(f: &mut Formatter<'_>, family: Family, table: u32) -> fmt::Result {
    let (number, channel) = (filters::number(family), channel(family));
    writeln!(f, "protocol kernel relay{number} {{")?;
    writeln!(f, "\tkernel table {table};")?;
    writeln!(f, "\tlearn;")?;
    writeln!(f, "\tscan time {SCAN};")?;
    writeln!(f, "\t{channel} {{ import filter from_relay{number}; export none; }};")?;
    writeln!(f, "}}")
}

/// Routers on a link without addresses learn from these whom they call. They name no prefix, and no default router.
fn router_advertisements(f: &mut Formatter<'_>, plan: &Plan) -> fmt::Result {
    let unnumbered = plan.sessions.iter().filter(|session| matches!(session.reach, Reach::Unnumbered { .. }));
    let mut interfaces: Vec<&str> = unnumbered.map(|session| session.interface.as_str()).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    if interfaces.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nprotocol radv radv1 {{")?;
    for interface in interfaces {
        let settings = "min ra interval 3; max ra interval 10; default lifetime 0; prefix ::/0 { skip; };";
        writeln!(f, "\tinterface \"{interface}\" {{ {settings} }};")?;
    }
    writeln!(f, "}}")
}

/// What BIRD calls a family.
fn channel(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}
