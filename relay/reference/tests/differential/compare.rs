//! The model's outcome and the engine's, side by side.

use std::collections::BTreeMap;

use reference::Outcome;

/// The next header of IPv6 fragments.
const FRAGMENT: u8 = 44;

/// What is compared but for what an implementation may choose: flow labels and IPv6 identifications.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// The engine's label for each of the model's: packets of one flow have one.
    labels: BTreeMap<u32, u32>,
}

impl Comparison {
    /// Says where they part.
    pub(crate) fn outcomes(&mut self, expected: &Outcome, found: &Outcome) -> Result<(), String> {
        let (mut expected, mut found) = (expected.clone(), found.clone());
        let pairs = expected.out.iter_mut().zip(&mut found.out);
        let labels: Vec<(u32, u32)> = pairs.map(|(one, other)| (take_label(one), take_label(other))).collect();
        number_identifications(&mut expected.out);
        number_identifications(&mut found.out);
        if expected != found {
            return Err(format!("\nmodel  {}\nengine {}", show(&expected), show(&found)));
        }
        labels.into_iter().try_for_each(|(model, engine)| self.label(model, engine))
    }

    fn label(&mut self, model: u32, engine: u32) -> Result<(), String> {
        let known = *self.labels.entry(model).or_insert(if model == 0 { 0 } else { engine });
        if known == engine { Ok(()) } else { Err(format!("flow label {engine:#x}, not {known:#x}")) }
    }
}

/// Takes the flow label out of an IPv6 packet.
fn take_label(packet: &mut [u8]) -> u32 {
    if packet.len() < 40 || packet[0] >> 4 != 6 {
        return 0;
    }
    let label = u32::from_be_bytes([0, packet[1] & 15, packet[2], packet[3]]);
    packet[1] &= 0xf0;
    packet[2..4].fill(0);
    label
}

/// Numbers the identifications of IPv6 fragments by their first appearance.
fn number_identifications(out: &mut [Vec<u8>]) {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for packet in out.iter_mut().filter(|packet| packet.len() >= 48 && packet[0] >> 4 == 6 && packet[6] == FRAGMENT) {
        let identification = packet[44..48].to_vec();
        if !seen.contains(&identification) {
            seen.push(identification.clone());
        }
        let number = seen.iter().position(|known| *known == identification).unwrap_or(0) as u32;
        packet[44..48].copy_from_slice(&number.to_be_bytes());
    }
}

fn show(outcome: &Outcome) -> String {
    let packets = outcome.out.iter().map(|packet| format!("\n  {:5} {}", packet.len(), hex(packet)));
    format!("{} {:?} domain {:?}{}", outcome.verdict, outcome.reason, outcome.domain, packets.collect::<String>())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + " ").collect()
}
