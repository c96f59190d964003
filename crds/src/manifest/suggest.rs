//! What someone who wrote an unknown name may have meant.

/// "did you mean `x`?", or the names there are.
pub(super) fn suggest<'n>(found: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known.iter().map(|name| (distance(found, name), name)).min();
    match near {
        Some((distance, name)) if distance * 3 <= name.len() || (distance == 2 && name.len() > 4) => {
            format!("did you mean `{name}`?")
        }
        _ => format!("known here: {}", known.join(", ")),
    }
}

/// How many letters must be added, dropped or changed (Levenshtein), whatever their case.
fn distance(found: &str, name: &str) -> usize {
    const LONG: usize = 64;
    let letters = |text: &str| text.chars().take(LONG).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (found, name) = (letters(found), letters(name));
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (at, letter) in found.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in name.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_a_stranger_is_not() {
        let known = ["psid", "psidLength", "psidOffset"];
        assert_eq!(suggest("psidLenght", known.into_iter()), "did you mean `psidLength`?");
        assert_eq!(suggest("PSIDoffset", known.into_iter()), "did you mean `psidOffset`?");
        assert_eq!(suggest("forwarding", known.into_iter()), "known here: psid, psidLength, psidOffset");
    }
}
