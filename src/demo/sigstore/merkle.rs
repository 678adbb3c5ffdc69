//! Merkle trees of RFC 6962 §2.1, from all their leaves.

use super::key::sha256;

/// A node.
pub type Hash = [u8; 32];

/// The hash of an entry.
pub fn leaf(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry].concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], &left[..], right].concat())
}

/// The largest power of two below `count`, which is at least two.
const fn middle(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The root of a tree.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(middle(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The siblings on the way from a leaf to the root, lowest first.
pub fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let half = middle(leaves.len());
    let (left, right) = leaves.split_at(half);
    let (mut path, sibling) = match index.checked_sub(half) {
        None => (path(index, left), root(right)),
        Some(index) => (path(index, right), root(left)),
    };
    path.push(sibling);
    path
}

#[cfg(test)]
mod tests {
    use sigstore_merkle::verify_inclusion_proof;
    use sigstore_types::Sha256Hash;

    use super::*;

    #[test]
    fn each_leaf_of_each_tree_is_proven() {
        let leaves: Vec<Hash> = (0_u8..20).map(|number| leaf(&[number])).collect();
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            for (index, one) in tree.iter().enumerate() {
                let proof: Vec<Sha256Hash> = path(index, tree).into_iter().map(Sha256Hash::new).collect();
                let (at, of) = (u64::try_from(index).unwrap(), u64::try_from(size).unwrap());
                let expected = Sha256Hash::new(root(tree));
                assert!(
                    verify_inclusion_proof(&Sha256Hash::new(*one), at, of, &proof, &expected).is_ok(),
                    "{index} of {size}"
                );
            }
        }
    }
}
