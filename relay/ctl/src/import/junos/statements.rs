//! The statements about MAP-E, whichever form they were written in. All others are forgotten as they are read.

/// Where the concentrators are. A configuration may be pasted from any of these levels down.
pub(super) const WAY: [&str; 4] = ["services", "softwire", "softwire-concentrator", "map-e"];

/// What a concentrator says by a word alone.
pub(super) const FLAGS: [&str; 6] =
    ["version-03", "v4-reassembly", "v6-reassembly", "v4-partial-reassembly", "disable-auto-route", "confidentiality"];

/// What it says by a word and a value.
pub(super) const VALUES: [&str; 7] =
    ["softwire-address", "ipv4-prefix", "mape-prefix", "ea-bits-len", "psid-offset", "psid-length", "mtu-v6"];

/// What stands before `map-e` where a MAP-E configuration may be: ours, that of other services, that of a CE.
const BEFORE: [&str; 3] = ["softwire-concentrator", "softwire-types", "softwires"];

/// One statement, from the top of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement<'t> {
    pub(super) path: Vec<&'t str>,
    pub(super) line: usize,
    /// Where it, or what is around it, was deactivated.
    pub(super) inactive: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Statements<'t> {
    list: Vec<Statement<'t>>,
}

impl<'t> Statements<'t> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Statement<'t>> {
        self.list.iter()
    }

    /// Adds a statement. Several knobs of one concentrator, which the command line takes, become several.
    pub(super) fn set(&mut self, words: &[&'t str], line: usize, inactive: Option<usize>) {
        if !is_about_map_e(words) {
            return;
        }
        let path = from_the_top(words);
        let (around, mut rest) = match path.strip_prefix(&WAY) {
            Some([_, rest @ ..]) => (&path[..=WAY.len()], rest),
            _ => (&path[..], &[][..]),
        };
        loop {
            let (knob, more) = rest.split_at(length(rest));
            self.list.push(Statement { path: [around, knob].concat(), line, inactive });
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    pub(super) fn delete(&mut self, words: &[&'t str]) {
        let path = from_the_top(words);
        self.list.retain(|statement| !statement.path.starts_with(&path));
    }

    pub(super) fn deactivate(&mut self, words: &[&'t str], line: usize) {
        self.under(words, |statement| statement.inactive = statement.inactive.or(Some(line)));
    }

    pub(super) fn activate(&mut self, words: &[&'t str]) {
        self.under(words, |statement| statement.inactive = None);
    }

    fn under(&mut self, words: &[&'t str], change: impl Fn(&mut Statement<'t>)) {
        let path = from_the_top(words);
        self.list.iter_mut().filter(|statement| statement.path.starts_with(&path)).for_each(change);
    }
}

/// Whether the path leads to MAP-E parameters, ours or others.
fn is_about_map_e(words: &[&str]) -> bool {
    words.first() == WAY.last() || place_of_map_e(words).is_some()
}

/// Where `map-e` stands in a path, behind what makes it a configuration of MAP-E and not a mere word.
pub(super) fn place_of_map_e(path: &[&str]) -> Option<usize> {
    let at = path.windows(2).position(|pair| BEFORE.contains(&pair[0]) && Some(&pair[1]) == WAY.last())?;
    Some(at + 1)
}

/// The path with the levels that a pasted part lacks. None of them is the name of a top level.
fn from_the_top<'t>(words: &[&'t str]) -> Vec<&'t str> {
    let missing = words.first().and_then(|first| WAY.iter().position(|step| step == first)).unwrap_or(0);
    [&WAY[..missing], words].concat()
}

/// How many words belong to the first knob. An unknown one takes all: it is refused anyway.
fn length(words: &[&str]) -> usize {
    match words {
        [knob, ..] if FLAGS.contains(knob) => 1,
        [knob, ..] if VALUES.contains(knob) => words.len().min(2),
        _ => words.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(statements: &Statements<'_>) -> Vec<String> {
        statements.iter().map(|statement| statement.path.join(" ")).collect()
    }

    #[test]
    fn each_knob_is_a_statement_from_the_top() {
        let mut statements = Statements::default();
        statements.set(&["map-e", "a", "version-03", "mtu-v6", "1500", "frobnicate", "b"], 1, None);
        statements.set(&["interfaces", "map-e"], 1, None);
        statements.set(&["services", "softwire", "rule", "r", "then", "map-e", "a"], 1, None);
        let top = "services softwire softwire-concentrator map-e a";
        let expected = ["version-03", "mtu-v6 1500", "frobnicate b"].map(|knob| format!("{top} {knob}"));
        assert_eq!(paths(&statements), expected);
        statements.delete(&["softwire-concentrator", "map-e", "a", "mtu-v6"]);
        assert_eq!(paths(&statements).len(), 2);
        statements.delete(&["services"]);
        assert!(paths(&statements).is_empty());
    }
}
