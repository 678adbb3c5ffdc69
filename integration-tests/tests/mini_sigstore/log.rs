//! Entries, promises, proofs, checkpoints, of both logs.

use integration_tests::sigstore::{
    Mini,
    body::Body,
    bundle::Bundle,
    key::Key,
    note::Checkpoint,
    rekor::{Entry, Place},
    rekor2::witness,
};

use super::{cosign_bundle, judge, mini, refused, signer};

/// A bundle with one thing changed in its entry.
fn changed(mini: &Mini, change: impl FnOnce(&mut Entry)) -> Bundle {
    let mut bundle = cosign_bundle(mini, &signer(mini));
    change(&mut bundle.entries[0]);
    bundle
}

#[test]
fn entry_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let stranger = Key::p256("mini", "stranger").unwrap();
    let other = changed(&mini, |_| ()).entries.remove(0);
    refused(
        &mini,
        [
            (
                "promise flipped",
                changed(&mini, |entry| entry.promise.as_mut().unwrap()[20] ^= 1),
                "SET verification failed",
            ),
            (
                "promise of a stranger",
                changed(&mini, |entry| entry.promise = entry.promise_by(&stranger).ok()),
                "SET verification failed",
            ),
            (
                "another time",
                changed(&mini, |entry| *entry.integrated_time.as_mut().unwrap() += 1),
                "SET verification failed",
            ),
            ("another index", changed(&mini, |entry| entry.log_index += 1), "SET verification failed"),
            ("unknown log", changed(&mini, |entry| entry.log_id[0] ^= 1), "No log key"),
            ("sibling flipped", changed(&mini, |entry| entry.proof.as_mut().unwrap().hashes[0][0] ^= 1), "proof"),
            ("sibling missing", changed(&mini, |entry| _ = entry.proof.as_mut().unwrap().hashes.pop()), "proof"),
            ("index of the proof", changed(&mini, |entry| entry.proof.as_mut().unwrap().index += 1), "proof"),
            ("no proof", changed(&mini, |entry| entry.proof = None), "proof"),
            ("entry of another signature", changed(&mini, |entry| *entry = other), "does not match any signature"),
        ],
    );
}

#[test]
fn checkpoint_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let rekor = &mini.base.rekor;
    let stranger = Key::p256("mini", "stranger").unwrap();
    let with = |change: &dyn Fn(&mut Checkpoint)| {
        changed(&mini, |entry| {
            let proof = entry.proof.as_mut().unwrap();
            let mut checkpoint = rekor.checkpoint(proof.size, proof.root).unwrap();
            change(&mut checkpoint);
            proof.checkpoint = Some(checkpoint.note());
        })
    };
    judge(&mini, &with(&|_| ())).unwrap();
    judge(&mini, &with(&|note| witness(note, "witness.example.com", "mini", 1_700_000_000))).unwrap();
    refused(
        &mini,
        [
            ("origin changed afterwards", with(&|note| note.origin.push('1')), "heckpoint"),
            ("size changed afterwards", with(&|note| note.size += 1), "heckpoint"),
            ("no signature", with(&|note| note.signatures.clear()), "heckpoint"),
            ("unknown hint", with(&|note| note.signatures[0].hint[0] ^= 1), "heckpoint"),
            (
                "another key under the log's hint",
                with(&|note| {
                    note.signatures.clear();
                    note.sign("rekor.example.com", &rekor.log.id, &stranger).unwrap();
                }),
                "heckpoint",
            ),
        ],
    );
}

#[test]
fn each_place_in_trees_of_each_size_is_proven() {
    let mini = mini();
    for size in 1..=9 {
        for index in 0..size {
            let mut bundle = cosign_bundle(&mini, &signer(&mini));
            let body = serde_json::from_slice(&bundle.entries[0].body).unwrap();
            let body = Body { kind: "dsse".to_owned(), version: "0.0.1".to_owned(), document: body };
            let place = Place { older: 7, index, size };
            bundle.entries = vec![mini.base.rekor.log(&body, mini.base.at, place).unwrap()];
            judge(&mini, &bundle).unwrap_or_else(|error| panic!("{index} of {size}: {error}"));
        }
    }
}
