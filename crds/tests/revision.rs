//! Revisions: what is written is read; what is incomplete, foreign or hostile is told apart.
#![expect(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

use std::{collections::BTreeSet, fs, io::Write as _, net::Ipv4Addr, path::Path};

use any::domain;
use crds::{
    MapDomain, manifest,
    revision::{
        CHUNK_BYTES, Chunk, Domain, Error, FORMAT_VERSION, Files, INDEX, Index, MAX_BYTES, MAX_CHUNKS, Object,
        Revision, decode, drain, encode, object_names,
    },
};
use flate2::{Compression, write::GzEncoder};
use mape::{DomainConfig, DomainName, Ipv4Net, Ipv6Net, Options, RuleConfig, Version};
use proptest::{collection::vec, option, prelude::*, sample::Index as Pick};
use sha2::{Digest, Sha256};

#[path = "support/any.rs"]
mod any;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(revision in revision(), seed in any::<u64>()) {
        let objects = encode(&revision).unwrap();
        let through_kubernetes = objects.iter().flat_map(|object| {
            let json = serde_json::to_value(object.config_map("culvert-system")).unwrap();
            Object::files_of(&serde_json::from_value(json).unwrap())
        });
        prop_assert_eq!(&decode(&through_kubernetes.collect()).unwrap(), &revision);
        // The same again, in whatever order: the same bytes.
        let mut shuffled = revision.clone();
        shuffled.domains.sort_by_key(|domain| Sha256::digest([domain.config.name.name.as_bytes(), &seed.to_be_bytes()].concat()));
        prop_assert_eq!(encode(&shuffled).unwrap(), objects);
    }

    /// The hash is the one that `culvertctl check` prints, and neither number, age nor trace is in it.
    #[test]
    fn the_hash_is_that_of_the_manifests(revision in revision()) {
        let manifests = revision.domains.iter().map(|domain| {
            let mut manifest = MapDomain::from(&domain.config);
            manifest.spec.advertise.communities = domain.communities.clone();
            manifest.spec.advertise.local_preference = domain.local_preference.map(i64::from);
            serde_saphyr::to_string(&manifest).unwrap()
        });
        let text = manifests.collect::<Vec<_>>().join("---\n");
        if let Ok(loaded) = manifest::parse("all.yaml", &text) {
            prop_assert_eq!(loaded.hash, revision.hash());
            prop_assert_eq!(loaded.fleet, revision.compile().unwrap());
        }
        let mut other = Revision { sequence: revision.sequence ^ 1, traceparent: None, ..revision.clone() };
        other.domains.iter_mut().for_each(|domain| domain.config.created = 0);
        prop_assert_eq!(other.hash(), revision.hash());
    }

    /// However the files are damaged: an error, or the very same revision.
    #[test]
    fn damaged_files_are_refused(revision in revision(), at in any::<Pick>(), file in any::<Pick>(), xor in 1..=255_u8) {
        let good = files(&encode(&revision).unwrap());
        let mut bad = good.clone();
        let name = file.get(&good.keys().collect::<Vec<_>>()).to_string();
        let bytes = bad.get_mut(&name).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= xor;
        let is_refused_or_same = |bad: &Files| match decode(bad) {
            Ok(read) => (name.as_str(), &read.domains) == (INDEX, &revision.domains),
            Err(_) => true,
        };
        prop_assert!(is_refused_or_same(&bad));
        // The index may lose its last line break.
        bad.get_mut(&name).unwrap().truncate(at);
        prop_assert!(is_refused_or_same(&bad));
        prop_assert!(at + 1 >= good[&name].len() || decode(&bad).is_err());
    }

    /// Anything at all where the packed domains should be, with an index that vouches for it.
    #[test]
    fn no_packed_bytes_make_the_reader_panic(text in vec(any::<u8>(), 0..300), promised in 0..400_u64, packs in any::<bool>()) {
        let packed = if packs { gzip(&text) } else { text };
        prop_assert!(decode(&vouched(&packed, promised, "0".repeat(64))).is_err());
    }

    #[test]
    fn no_index_makes_the_reader_panic(text in ".{0,200}") {
        prop_assert!(decode(&Files::from([(INDEX.to_owned(), text.into_bytes())])).is_err());
    }
}

/// 60,000 rules that hardly compress: more than one ConfigMap holds.
#[test]
fn a_revision_of_several_chunks_is_read_when_all_of_them_are_there() {
    let (old, new) = (large(1), large(2));
    let (old_objects, objects) = (encode(&old).unwrap(), encode(&new).unwrap());
    let packed: usize = objects.iter().flat_map(|it| it.files.values()).map(Vec::len).sum();
    assert!(packed > 1 << 20, "{packed}");
    assert!(objects.len() > 2);
    for object in &objects {
        let size: usize = object.files.values().map(Vec::len).sum();
        let json = serde_json::to_vec(&object.config_map("culvert-system")).unwrap().len();
        assert!(size < 1 << 20 && json < 1 << 20, "{}: {size} {json}", object.name);
        assert!(object_names("default").any(|name| name == object.name));
    }
    let (before, after) = (files(&old_objects), files(&objects));
    assert_eq!(decode(&after).unwrap(), new);

    // Index last: until then the old index finds foreign chunks.
    let mut mixed = after.clone();
    mixed.insert(INDEX.to_owned(), before[INDEX].clone());
    let error = decode(&mixed).unwrap_err();
    assert!(error.is_not_yet(), "{error}");
    let stale: Vec<String> = after.keys().filter(|file| *file != INDEX).cloned().collect();
    assert_eq!(error, Error::Incomplete { sequence: 1, missing: Vec::new(), stale });

    let mut partial = after.clone();
    partial.remove("domains-1.gz");
    partial.insert("domains-0.gz".to_owned(), before["domains-0.gz"].clone());
    let error = decode(&partial).unwrap_err();
    assert!(error.is_not_yet());
    assert_eq!(
        error.to_string(),
        "revision 2 is incomplete: domains-1.gz not there yet; domains-0.gz of another revision"
    );
}

#[test]
fn before_the_first_revision_there_is_none_yet() {
    assert!(decode(&Files::new()).unwrap_err().is_not_yet());
}

#[test]
fn a_small_revision_is_one_object() {
    let objects = encode(&small()).unwrap();
    let names: Vec<&str> = objects.iter().map(|object| &*object.name).collect();
    let files: Vec<&str> = objects[0].files.keys().map(String::as_str).collect();
    assert_eq!((names, files), (vec!["default-revision"], vec!["domains-0.gz", "index.json"]));
    let map = objects[0].config_map("culvert-system");
    assert!(map.data.unwrap()[INDEX].starts_with("{\n  \"formatVersion\": 1,\n  \"fleet\": \"default\","));
    let none = encode(&Revision { domains: Vec::new(), ..small() }).unwrap();
    assert_eq!(decode(&self::files(&none)).unwrap().domains, []);
}

#[test]
fn a_newer_format_says_both_versions_and_what_to_do() {
    let index = json_index(|index| {
        index["formatVersion"] = 3.into();
        index["chunks"] = "elsewhere".into();
    });
    let error = decode(&index).unwrap_err();
    assert_eq!(error, Error::NewerFormat(3));
    assert!(!error.is_not_yet());
    let says =
        "the revision has format 3, and this program reads formats up to 2: update it to the version of the operator";
    assert_eq!(error.to_string(), says);
    assert_eq!(FORMAT_VERSION, 2);
}

type Change<'c> = &'c dyn Fn(&mut serde_json::Value);

#[test]
fn an_index_that_makes_no_sense_is_refused() {
    let refused = |change: Change<'_>| decode(&json_index(change)).unwrap_err().to_string();
    let cases: [(Change<'_>, &str); 10] = [
        (&|index| index["formatVersion"] = 0.into(), "formats begin with 1"),
        (&|index| index["formatVersion"] = "1".into(), "invalid type: string"),
        (&|index| index["sequence"] = (1_u64 << 63).into(), "sequence 9223372036854775808 has more than 63 bits"),
        (&|index| index["bytes"] = (MAX_BYTES + 1).into(), "268435457 bytes of domains, and 268435456 are allowed"),
        (&|index| index["chunks"] = serde_json::json!([]), "0 chunks, and 1 to 64 are allowed"),
        (&|index| index["chunks"][0]["file"] = "../../etc/passwd".into(), "a chunk cannot be `../../etc/passwd`"),
        (&|index| index["chunks"][0]["file"] = "..data".into(), "a chunk cannot be `..data`"),
        (&|index| index["chunks"][0]["object"] = "".into(), "in ``"),
        (&|index| index["chunks"][0]["bytes"] = (CHUNK_BYTES + 1).into(), "domains-0.gz has 700001 bytes"),
        (
            &|index| {
                let chunk = index["chunks"][0].clone();
                index["chunks"].as_array_mut().unwrap().push(chunk);
            },
            "two chunks have one file",
        ),
    ];
    for (change, says) in cases {
        let error = refused(change);
        assert!(error.starts_with("the index cannot be read: ") && error.contains(says), "{error}");
    }
    let many = refused(&|index| {
        let chunk = |at| serde_json::json!({"object": "x", "file": format!("f{at}"), "sha256": "", "bytes": 0});
        index["chunks"] = (0..=MAX_CHUNKS).map(chunk).collect();
    });
    assert!(many.contains("65 chunks"), "{many}");
    let counts = refused(&|index| index["rules"] = 7.into());
    assert_eq!(counts, "there are 1 rules, and the index says 7");
    let counts = refused(&|index| index["domains"] = 7.into());
    assert_eq!(counts, "there are 1 domains, and the index says 7");
}

#[test]
fn domains_that_are_understood_otherwise_are_refused() {
    let error = decode(&json_index(|index| index["hash"] = "0".repeat(64).into())).unwrap_err();
    assert!(matches!(&error, Error::WrongHash { promised, .. } if *promised == "0".repeat(64)), "{error}");
    assert!(error.to_string().contains("update it to the operator's version"));
}

#[test]
fn packed_domains_that_end_early_or_never_are_refused() {
    let line = unpacked(&small());
    let whole = gzip(&line);
    let read = |packed: &[u8], promised: usize| decode(&vouched(packed, promised as u64, small().hash())).unwrap_err();
    assert!(decode(&vouched(&whole, line.len() as u64, small().hash())).is_ok(), "the index itself is sound");
    for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(read(&whole[..cut], line.len()), Error::BadGzip(_) | Error::WrongLength { .. }), "{cut}");
    }
    let twice = [whole.clone(), whole.clone()].concat();
    assert_eq!(read(&twice, line.len()), Error::BadGzip("there is more behind its end".to_owned()));
    let (short, long) = (line.len() - 1, line.len() + 1);
    assert!(matches!(read(&whole, short), Error::WrongLength { .. }));
    assert_eq!(read(&whole, long), Error::WrongLength { promised: long as u64, found: line.len() as u64 });
}

/// 64 MB of zeros in 64 KB: the reader stops one byte behind what was promised.
#[test]
fn a_decompression_bomb_does_not_go_off() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| gzip.write_all(&zeros).unwrap());
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 70_000);
    let error = decode(&vouched(&bomb, 1000, "0".repeat(64))).unwrap_err();
    assert_eq!(error, Error::WrongLength { promised: 1000, found: 1001 });
}

#[test]
fn lines_that_are_no_sound_domains_are_refused() {
    let read = |text: &[u8]| decode(&vouched(&gzip(text), text.len() as u64, "0".repeat(64))).unwrap_err();
    let line = unpacked(&small());
    let text = String::from_utf8(line.clone()).unwrap();
    assert!(matches!(read(b"{}\n"), Error::BadLine { line: 1, .. }));
    assert!(matches!(read(&[&line[..], b"\n"].concat()), Error::BadLine { line: 2, .. }));
    assert!(matches!(read(&line.repeat(2)), Error::Twice(name) if name.to_string() == "isps/isp-a"));
    let earlier = text.replace("isp-a", "isp-0");
    let error = read((text.clone() + &earlier).as_bytes());
    assert_eq!(error, Error::BadLine { line: 2, why: "out of order".to_owned() });
    let error = read(text.replace("192.0.2.0/24", "192.0.2.0").as_bytes());
    let says = "domain isps/isp-a: spec.rules[0].ipv4Prefix: found `192.0.2.0`, allowed an IPv4 prefix";
    assert!(error.to_string().starts_with(says), "{error}");
}

#[test]
fn what_none_could_read_is_not_written() {
    let twice = Revision { domains: [small().domains, small().domains].concat(), ..small() };
    assert!(matches!(encode(&twice), Err(Error::Twice(_))));
    let number = Revision { sequence: 1 << 63, ..small() };
    assert!(matches!(encode(&number), Err(Error::Unwritable(why)) if why.contains("63 bits")));
    let name = Revision { fleet: "../x".to_owned(), ..small() };
    assert!(matches!(encode(&name), Err(Error::Unwritable(why)) if why.contains("a chunk cannot be")));
}

/// Relays of this version and all later ones have to read them.
#[test]
fn the_committed_revision_of_each_format_is_still_read() {
    for (format, revision) in [("1", small()), ("2", aggregated())] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/revisions").join(format);
        let files = fs::read_dir(folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
        });
        assert_eq!(decode(&files.collect()).unwrap(), revision, "format {format}");
    }
}

/// An operator may be newer than its relays: what says nothing new is written as before.
#[test]
fn a_revision_has_the_oldest_format_that_says_it_all() {
    let index = |revision: &Revision| Index::parse(&files(&encode(revision).unwrap())[INDEX]).unwrap();
    let (old, new) = (index(&small()), index(&aggregated()));
    assert_eq!((old.format_version, new.format_version), (1, 2));
    // The hash that relays of format 1 know.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/revisions/1");
    let committed = Index::parse(&fs::read(folder.join(INDEX)).unwrap()).unwrap();
    assert_eq!(old.hash, committed.hash);
    assert_ne!(new.hash, old.hash);
}

#[test]
fn the_drain_list_is_no_part_of_the_revision() {
    let pods: BTreeSet<String> = ["default-1", "default-0"].map(str::to_owned).into();
    assert_eq!(drain::encode(&pods), b"default-0\ndefault-1\n");
    assert_eq!(drain::decode(Some(b"default-0\r\n\ndefault-1")), pods);
    assert_eq!(drain::decode(None), BTreeSet::new());
    let mut objects = encode(&small()).unwrap();
    objects[0].files.insert(drain::FILE.to_owned(), drain::encode(&pods));
    assert_eq!(decode(&files(&objects)).unwrap(), small());
}

fn files(objects: &[Object]) -> Files {
    objects.iter().flat_map(|object| object.files.clone()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

fn unpacked(revision: &Revision) -> Vec<u8> {
    let packed = &files(&encode(revision).unwrap())["domains-0.gz"];
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
    text
}

/// Files with an index that says these packed bytes are right.
fn vouched(packed: &[u8], bytes: u64, hash: String) -> Files {
    let sha256 = Sha256::digest(packed).iter().map(|byte| format!("{byte:02x}")).collect();
    let (object, file) = ("default-revision".to_owned(), "domains-0.gz".to_owned());
    let chunks = vec![Chunk { object, file: file.clone(), sha256, bytes: packed.len() as u64 }];
    let (fleet, traceparent) = ("default".to_owned(), None);
    let index = Index { format_version: 1, fleet, sequence: 1, hash, domains: 1, rules: 1, bytes, chunks, traceparent };
    Files::from([(INDEX.to_owned(), serde_json::to_vec(&index).unwrap()), (file, packed.to_vec())])
}

/// The small revision's files, with a change to the index.
fn json_index(change: impl FnOnce(&mut serde_json::Value)) -> Files {
    let mut files = files(&encode(&small()).unwrap());
    let mut index = serde_json::from_slice(&files[INDEX]).unwrap();
    change(&mut index);
    files.insert(INDEX.to_owned(), serde_json::to_vec(&index).unwrap());
    files
}

fn small() -> Revision {
    let rule = RuleConfig {
        name: "r1".to_owned(),
        ipv4_prefix: "192.0.2.0/24".parse().unwrap(),
        mape_prefix: "2001:db8:ce::/48".parse().unwrap(),
        ea_bits_length: 16,
        psid_offset: 4,
        psid_length: Some(8),
        psid: None,
    };
    let config = DomainConfig {
        name: DomainName { namespace: "isps".to_owned(), name: "isp-a".to_owned() },
        created: 1_700_000_000,
        softwire_address: "2001:db8:ffff::1".parse().unwrap(),
        version: Version::Draft03,
        rules: vec![rule],
        options: Options::default(),
    };
    let domain = Domain { config, communities: vec!["64512:200".to_owned()], local_preference: Some(200) };
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    Revision { fleet: "default".to_owned(), sequence: 42, domains: vec![domain], traceparent }
}

/// The same with what format 2 is for.
fn aggregated() -> Revision {
    let mut revision = small();
    revision.domains[0].config.options.advertise.ipv4_aggregates = vec!["192.0.0.0/16".parse().unwrap()];
    revision
}

/// 60 domains of 1,000 rules each, with prefixes as random as hashes.
fn large(sequence: u64) -> Revision {
    let hash = |at: usize| {
        u128::from_be_bytes(
            Sha256::digest([at.to_be_bytes(), sequence.to_be_bytes()].concat())[..16].try_into().unwrap(),
        )
    };
    let rule = |at: usize| RuleConfig {
        name: format!("{:x}", hash(at) >> 64),
        ipv4_prefix: Ipv4Net::new_assert(Ipv4Addr::from_bits(0x1400_0000 + at as u32), 32),
        mape_prefix: Ipv6Net::new_assert((0x2a00 << 112 | hash(at) >> 8).into(), 128),
        ea_bits_length: 0,
        psid_offset: 0,
        psid_length: Some(0),
        psid: None,
    };
    let domain = |at: usize| Domain {
        config: DomainConfig {
            name: DomainName { namespace: "isps".to_owned(), name: format!("isp-{at:02}") },
            rules: (at * 1000..at * 1000 + 1000).map(rule).collect(),
            ..small().domains[0].config.clone()
        },
        communities: Vec::new(),
        local_preference: None,
    };
    Revision { sequence, domains: (0..60).map(domain).collect(), ..small() }
}

/// With every derived number, as a revision has them.
fn written_out(mut config: DomainConfig) -> DomainConfig {
    for rule in &mut config.rules {
        let derived = rule.ea_bits_length.saturating_sub(32 - rule.ipv4_prefix.prefix_len());
        rule.psid_length = Some(rule.psid_length.unwrap_or(derived));
    }
    config
}

fn revision() -> impl Strategy<Value = Revision> {
    let communities = vec("[1-9][0-9]{0,3}:[1-9][0-9]{0,3}", 0..3);
    let domain =
        (domain(), communities, option::of(any::<u32>())).prop_map(|(config, communities, local_preference)| Domain {
            config: written_out(config),
            communities,
            local_preference,
        });
    let trace = option::of("00-[0-9a-f]{32}-[0-9a-f]{16}-01");
    ("[a-z]([a-z0-9-]{0,20}[a-z0-9])?", 0..1_u64 << 63, vec(domain, 0..4), trace).prop_map(
        |(fleet, sequence, mut domains, traceparent)| {
            domains.sort_by(|a, b| a.config.name.cmp(&b.config.name));
            domains.dedup_by(|a, b| a.config.name == b.config.name);
            Revision { fleet, sequence, domains, traceparent }
        },
    )
}
