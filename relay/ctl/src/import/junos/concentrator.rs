//! What each concentrator says.

use std::collections::BTreeSet;

use super::{
    report::Report,
    statements::{FLAGS, Statement, Statements, VALUES, WAY, place_of_map_e},
};

/// A `map-e` concentrator: one MAP domain of one rule.
pub(super) struct Concentrator<'t> {
    pub(super) name: &'t str,
    pub(super) line: usize,
    settings: Vec<Setting<'t>>,
}

struct Setting<'t> {
    knob: &'t str,
    value: Option<&'t str>,
    line: usize,
}

impl<'t> Concentrator<'t> {
    pub(super) fn value(&self, knob: &str) -> Option<&'t str> {
        self.setting(knob)?.value
    }

    pub(super) fn has(&self, knob: &str) -> bool {
        self.setting(knob).is_some()
    }

    /// Where the knob stands, or, if it does not, the concentrator.
    pub(super) fn line_of(&self, knob: &str) -> usize {
        self.setting(knob).map_or(self.line, |setting| setting.line)
    }

    /// What a knob of this concentrator, or itself, is called in errors.
    pub(super) fn called(&self, knob: &str) -> String {
        format!("{} {knob}", title(self.name)).trim_end().to_string()
    }

    fn setting(&self, knob: &str) -> Option<&Setting<'t>> {
        self.settings.iter().find(|setting| setting.knob == knob)
    }

    fn read(&mut self, statement: &Statement<'t>, report: &mut Report) {
        let (knob, value) = match statement.path[WAY.len() + 1..] {
            [] => return,
            [knob] => (knob, None),
            [knob, value, ..] => (knob, Some(value)),
        };
        if let Some(why) = refusal(knob) {
            return report.refuse(statement.line, &self.called(&knob.escape_debug().to_string()), why);
        }
        let setting = Setting { knob, value, line: statement.line };
        match self.settings.iter_mut().find(|setting| setting.knob == knob) {
            None => self.settings.push(setting),
            Some(earlier) => {
                if earlier.value != value {
                    let message = format!("{knob} of {} replaces line {}", title(self.name), earlier.line);
                    report.warn(statement.line, message);
                }
                *earlier = setting;
            }
        }
    }
}

/// `map-e NAME`, whatever the name is made of.
pub(super) fn title(name: &str) -> String {
    format!("map-e {}", name.escape_debug())
}

/// Why a knob cannot be carried over, if so.
fn refusal(knob: &str) -> Option<&'static str> {
    match knob {
        "confidentiality" => Some("a relay hides no rule from logs, metrics and manifests: delete it to go on without"),
        "apply-groups" | "apply-groups-except" => Some(GROUPS),
        knob if FLAGS.contains(&knob) || VALUES.contains(&knob) => None,
        _ => Some("no statement of map-e that is known here: delete it to go on without"),
    }
}

const GROUPS: &str = "what groups add is not followed: \
    use what `show configuration services softwire | display inheritance | display set` prints";

/// The concentrators that are active, in the order in which they are first named.
pub(super) fn all<'t>(statements: &Statements<'t>, report: &mut Report) -> Vec<Concentrator<'t>> {
    let mut found: Vec<Concentrator<'t>> = Vec::new();
    for statement in statements.iter().filter(|statement| statement.inactive.is_none()) {
        let Some(name) = name_of(statement) else { continue };
        let at = found.iter().position(|concentrator| concentrator.name == name).unwrap_or_else(|| {
            found.push(Concentrator { name, line: statement.line, settings: Vec::new() });
            found.len() - 1
        });
        found[at].read(statement, report);
    }
    warn_of_inactive(statements, &found, report);
    refuse_others(statements, report);
    if found.is_empty() && report.is_clean() {
        report.refuse(None, "", format!("no active map-e concentrator under `{}`", WAY[..3].join(" ")));
    }
    found
}

/// The name of the concentrator that a statement is about, if it is one of ours.
fn name_of<'t>(statement: &Statement<'t>) -> Option<&'t str> {
    statement.path.strip_prefix(&WAY)?.first().copied()
}

/// What was deactivated is left out, knob by knob or the whole concentrator, and each time once.
fn warn_of_inactive(statements: &Statements<'_>, found: &[Concentrator<'_>], report: &mut Report) {
    let mut told = BTreeSet::new();
    for statement in statements.iter() {
        let (Some(line), Some(name)) = (statement.inactive, name_of(statement)) else { continue };
        let is_active = found.iter().any(|concentrator| concentrator.name == name);
        let what = match statement.path.get(WAY.len() + 1) {
            Some(knob) if is_active => format!("{} of {}", knob.escape_debug(), title(name)),
            _ => title(name),
        };
        if told.insert((line, what.clone())) {
            report.warn(line, format!("{what} is inactive: skipped"));
        }
    }
}

/// MAP-E that is configured where it cannot be read from: dropping it silently would lose customers.
fn refuse_others(statements: &Statements<'_>, report: &mut Report) {
    let mut told = BTreeSet::new();
    for statement in statements.iter().filter(|statement| statement.inactive.is_none()) {
        let Some(at) = place_of_map_e(&statement.path).filter(|_| name_of(statement).is_none()) else { continue };
        let place = &statement.path[..statement.path.len().min(at + 2)];
        if told.insert(place) {
            let name = format!("`{}`", place.join(" ").escape_debug());
            report.refuse(statement.line, &name, why_not(place, at));
        }
    }
}

fn why_not(place: &[&str], at: usize) -> &'static str {
    match (place[0], place[at - 1]) {
        ("groups", _) => GROUPS,
        ("security", _) => "that is the configuration of a CE, not of a border relay",
        (_, "softwire-types" | "softwires") => "that is the syntax of Next Gen Services, which is not read",
        ("services", _) => "it has no name",
        _ => "only the concentrators of the router itself are read",
    }
}
