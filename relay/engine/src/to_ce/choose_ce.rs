//! From an IPv4 address and port to the CE that owns them.

use crate::{
    DropReason,
    tables::{Found, RuleEntry, Tables},
    to_ce::find_port::Flow,
};

/// The rule and the address of the CE, upper and lower half; or why nobody owns the port.
#[inline(always)]
pub(crate) fn choose_ce<'t>(
    tables: &'t Tables,
    found: Found<'t>,
    ipv4: u32,
    flow: &Flow,
) -> Result<(&'t RuleEntry, [u64; 2]), DropReason> {
    let rule = match found {
        Found::Rule(rule) if !rule.is_shared() => return Ok((rule, rule.ce_address(ipv4, 0))),
        _ if flow.corrupt => return Err(DropReason::BadChecksum),
        Found::Rule(rule) => rule,
        Found::Group(group) => {
            let port = flow.port.ok_or(DropReason::NoPort)?;
            if port < group.reserved_below {
                return Err(DropReason::ReservedPort);
            }
            tables.bound(group, port).ok_or(DropReason::NoPort)?
        }
    };
    let port = flow.port.ok_or(DropReason::NoPort)?;
    if port < rule.reserved_below {
        return Err(DropReason::ReservedPort);
    }
    Ok((rule, rule.ce_address(ipv4, rule.psid(port))))
}
