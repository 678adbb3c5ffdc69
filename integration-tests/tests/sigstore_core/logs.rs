//! Entries, promises, proofs and checkpoints, with one thing wrong.

use countersign::reason::Code::{TlogInvalid, TlogMissing};
use integration_tests::sigstore::{
    Mini,
    bundle::{Bundle, Content, Version},
    key::Key,
    note::Checkpoint,
    rekor::Entry,
    rekor2::witness,
};
use serde_json::json;

use super::{ISSUER, MANIFEST, WORKFLOW, cosign_bundle, judge, keyless, mini, policy_of, refused, signer};

fn changed(mini: &Mini, change: impl FnOnce(&mut Entry)) -> Bundle {
    let mut bundle = cosign_bundle(mini, &signer(mini));
    change(&mut bundle.entries[0]);
    bundle
}

#[test]
fn entry_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let stranger = Key::p256("core", "stranger").unwrap();
    let other = changed(&mini, |_| ()).entries.remove(0);
    let old = {
        let mut bundle = mini.base.message_bundle(&signer(&mini), Version::V01, MANIFEST).unwrap();
        bundle.entries[0].promise = None;
        bundle
    };
    refused(
        &keyless(&mini),
        [
            ("R81 promise flipped", changed(&mini, |entry| entry.promise.as_mut().unwrap()[20] ^= 1), TlogInvalid),
            (
                "R81 promise of a stranger",
                changed(&mini, |entry| entry.promise = entry.promise_by(&stranger).ok()),
                TlogInvalid,
            ),
            ("R81 another time", changed(&mini, |entry| *entry.integrated_time.as_mut().unwrap() += 1), TlogInvalid),
            ("R81 another index", changed(&mini, |entry| entry.log_index += 1), TlogInvalid),
            ("R89 unknown log", changed(&mini, |entry| entry.log_id[0] ^= 1), TlogMissing),
            (
                "R84 sibling flipped",
                changed(&mini, |entry| entry.proof.as_mut().unwrap().hashes[0][0] ^= 1),
                TlogInvalid,
            ),
            (
                "R84 sibling missing",
                changed(&mini, |entry| _ = entry.proof.as_mut().unwrap().hashes.pop()),
                TlogInvalid,
            ),
            (
                "R84 sibling too many",
                changed(&mini, |entry| entry.proof.as_mut().unwrap().hashes.push([1; 32])),
                TlogInvalid,
            ),
            ("R84 another index", changed(&mini, |entry| entry.proof.as_mut().unwrap().index += 1), TlogInvalid),
            ("R84 index of the size", changed(&mini, |entry| entry.proof.as_mut().unwrap().index = 11), TlogInvalid),
            ("R84 another size", changed(&mini, |entry| entry.proof.as_mut().unwrap().size += 1), TlogInvalid),
            ("R84 another root", changed(&mini, |entry| entry.proof.as_mut().unwrap().root[0] ^= 1), TlogInvalid),
            ("R46 no proof", changed(&mini, |entry| entry.proof = None), TlogInvalid),
            ("R46 v0.1 without a promise", old, TlogInvalid),
            ("R82 entry of another signature", changed(&mini, |entry| *entry = other), TlogInvalid),
            ("kind differs", changed(&mini, |entry| entry.kind = "intoto".to_owned()), TlogInvalid),
            ("version differs", changed(&mini, |entry| entry.version = "0.0.2".to_owned()), TlogInvalid),
            (
                "R89 no entry",
                {
                    let mut bundle = changed(&mini, |_| ());
                    bundle.entries.clear();
                    bundle
                },
                TlogMissing,
            ),
        ],
    );
}

const HOST: &str = "rekor.example.com";

/// A bundle whose checkpoint was changed after it was signed.
fn noted(mini: &Mini, change: impl FnOnce(&mut Checkpoint)) -> Bundle {
    changed(mini, |entry| {
        let proof = entry.proof.as_mut().unwrap();
        let mut checkpoint = mini.base.rekor.checkpoint(proof.size, proof.root).unwrap();
        change(&mut checkpoint);
        proof.checkpoint = Some(checkpoint.note());
    })
}

/// The same, signed by the log afterwards, under a name.
fn resigned(mini: &Mini, name: &str, change: impl FnOnce(&mut Checkpoint)) -> Bundle {
    let log = &mini.base.rekor.log;
    noted(mini, |note| {
        note.signatures.clear();
        change(note);
        note.sign(name, &log.id, &log.key).unwrap();
    })
}

#[test]
fn checkpoint_that_others_sign_too_is_accepted() {
    let mini = mini();
    let log = &mini.base.rekor.log;
    let cosigned = |note: &mut Checkpoint| witness(note, "witness.example.com", "core", 1_700_000_000);
    let first = |note: &mut Checkpoint| {
        cosigned(note);
        note.signatures.reverse();
    };
    for (name, good) in [
        ("R85 a witness", noted(&mini, cosigned)),
        ("R85 a witness first", noted(&mini, first)),
        ("R85 signed twice", noted(&mini, |note| note.sign(HOST, &log.id, &log.key).unwrap())),
        ("R92 a line with a time", resigned(&mini, HOST, |note| note.extensions.push("Timestamp: 1".to_owned()))),
    ] {
        judge(&keyless(&mini), &good).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

#[test]
fn checkpoint_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let log = &mini.base.rekor.log;
    let stranger = Key::p256("core", "stranger").unwrap();
    let forged = |note: &mut Checkpoint| {
        note.signatures.clear();
        note.sign(HOST, &log.id, &stranger).unwrap();
    };
    let two_lines = |note: &mut Checkpoint| {
        let text = note.text();
        note.instead = text.rmatch_indices('\n').nth(1).map(|(at, _)| text[..=at].to_owned());
    };
    let evil = |note: &mut Checkpoint| note.origin = "evil.example.com - 1".to_owned();
    refused(
        &keyless(&mini),
        [
            ("R85 origin changed afterwards", noted(&mini, |note| note.origin.push('1')), TlogInvalid),
            ("R85 size changed afterwards", noted(&mini, |note| note.size += 1), TlogInvalid),
            ("R85 another size", resigned(&mini, HOST, |note| note.size += 1), TlogInvalid),
            ("R85 another root", resigned(&mini, HOST, |note| note.root[0] ^= 1), TlogInvalid),
            ("R85 another origin", resigned(&mini, HOST, evil), TlogInvalid),
            ("R85 a line missing", resigned(&mini, HOST, two_lines), TlogInvalid),
            ("R85 no signature", noted(&mini, |note| note.signatures.clear()), TlogInvalid),
            ("R85 unknown hint", noted(&mini, |note| note.signatures[0].hint[0] ^= 1), TlogInvalid),
            ("R85 another key under the log's hint", noted(&mini, forged), TlogInvalid),
            ("R86 under another name", resigned(&mini, "evil.example.com", |_| ()), TlogInvalid),
            ("R85 none", changed(&mini, |entry| entry.proof.as_mut().unwrap().checkpoint = None), TlogInvalid),
        ],
    );
}

// R88, R89: one log twice is one log; two logs are two.
#[test]
fn logs_are_counted_and_not_entries() {
    let mini = mini();
    let members = json!({ "identities": [{ "issuer": ISSUER, "subject": WORKFLOW }], "tlogThreshold": 2 });
    let policy = policy_of(&mini.trusted_root().json().unwrap(), &members);
    let who = signer(&mini);
    let mut bundle = cosign_bundle(&mini, &who);
    let Content::Envelope(envelope) = bundle.content.clone() else { panic!("cosign signs statements") };
    bundle.timestamps = vec![mini.timestamp(bundle.signature())];
    bundle.entries.push(bundle.entries[0].clone());
    refused(&policy, [("R88 one log twice", bundle.clone(), TlogMissing)]);
    bundle.entries[1] = mini.rekor2.log_signature(&who, &envelope.pae(), &envelope.signatures[0]);
    judge(&policy, &bundle).unwrap();
}
