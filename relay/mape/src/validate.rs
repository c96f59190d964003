//! The checks behind [`Fleet::new`](crate::Fleet::new): first each domain alone, then what lies between them.

use alloc::{borrow::Cow, format, string::String, string::ToString, vec::Vec};
use core::fmt::Display;

use crate::{Domain, DomainConfig, Problem};

mod between;
mod options;
mod rule;

pub(crate) use between::between;

/// Turns every config into a sound domain, or lists all that is wrong with any of them.
pub(crate) fn domains(configs: &[DomainConfig]) -> Result<Vec<Domain>, Vec<Problem>> {
    let mut report = Report { problems: Vec::new() };
    let domains = configs.iter().map(|config| domain(config, &mut report)).collect();
    if report.problems.is_empty() { Ok(domains) } else { Err(report.problems) }
}

/// The domain as far as it is sound: good for something only if nothing is reported.
fn domain(config: &DomainConfig, report: &mut Report) -> Domain {
    let mut fields = Fields { config, report };
    options::check(&mut fields);
    let rules = rule::all(&mut fields);
    Domain {
        name: config.name.clone(),
        softwire_address: config.softwire_address,
        version: config.version,
        options: config.options.clone(),
        rules,
    }
}

/// Where problems gather.
struct Report {
    problems: Vec<Problem>,
}

/// One domain's fields under inspection.
struct Fields<'a> {
    config: &'a DomainConfig,
    report: &'a mut Report,
}

impl Fields<'_> {
    fn refuse(&mut self, field: &str, found: impl Display, allowed: impl Display, why: impl Into<Cow<'static, str>>) {
        self.report.problems.push(Problem {
            domain: self.config.name.clone(),
            field: String::from(field),
            found: found.to_string(),
            allowed: allowed.to_string(),
            why: why.into(),
            conflicts_with: None,
        });
    }

    /// Checks a number against the range it may have.
    fn within(&mut self, field: &str, found: u32, range: core::ops::RangeInclusive<u32>, why: &'static str) -> bool {
        let ok = range.contains(&found);
        if !ok {
            self.refuse(field, found, format!("{} to {}", range.start(), range.end()), why);
        }
        ok
    }
}
