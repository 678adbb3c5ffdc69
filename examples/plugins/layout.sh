#!/bin/sh
# Makes what a verifier can be tried on: an OCI image layout with an image and a licence approval attached to it, the
# approver's key, and the configuration that `countersign plugin test --config` takes. Needs jq, openssl and sha256sum.
#
#   sh layout.sh DIR            approved, signed with DIR/approver.key
#   sh layout.sh DIR forged     the same, signed with a key that nobody knows
#
# With a registry and ORAS in the place of a layout:
#   oras attach --artifact-type application/vnd.example.licence-approval.v1 registry.example.com/app@sha256:… \
#     approval.json:application/vnd.example.licence-approval.document.v1+json \
#     approval.sig:application/vnd.example.licence-approval.signature.v1
set -eu
[ $# -ge 1 ] || { echo "usage: $0 DIR [forged]" >&2; exit 2; }
dir=$1
mkdir -p "$dir/blobs/sha256"

# put FILE: stores it as a blob. descriptor FILE TYPE: what describes it.
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
put() { cp "$1" "$dir/blobs/sha256/$(digest "$1")"; }
descriptor() {
  jq -cn --arg type "$2" --arg digest "sha256:$(digest "$1")" --argjson size "$(wc -c <"$1")" \
    '{mediaType: $type, digest: $digest, size: $size}'
}
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
manifest_type=application/vnd.oci.image.manifest.v1+json

# The image.
printf '{"architecture":"amd64","os":"linux"}' >"$work/config"
printf 'a layer' >"$work/layer"
jq -cn --arg type "$manifest_type" \
  --argjson config "$(descriptor "$work/config" application/vnd.oci.image.config.v1+json)" \
  --argjson layer "$(descriptor "$work/layer" application/vnd.oci.image.layer.v1.tar)" \
  '{schemaVersion: 2, mediaType: $type, config: $config, layers: [$layer]}' >"$work/image"
image=$(descriptor "$work/image" "$manifest_type")

# The approval, and who says so.
key "$dir/approver.key"
openssl pkey -in "$dir/approver.key" -pubout -out "$dir/approver.pub"
signer=$dir/approver.key
if [ "${2:-}" = forged ]; then
  key "$work/other.key"
  signer=$work/other.key
fi
printf '%s' "$image" | jq -c '{image: .digest, licences: ["MIT", "Apache-2.0"], approvedBy: "legal@example.com"}' >"$work/approval.json"
openssl dgst -sha256 -sign "$signer" -out "$work/approval.sig" "$work/approval.json"

# What is attached: its manifest names the image as its subject.
printf '{}' >"$work/empty"
jq -cn --arg type "$manifest_type" --argjson subject "$image" \
  --argjson config "$(descriptor "$work/empty" application/vnd.oci.empty.v1+json)" \
  --argjson document "$(descriptor "$work/approval.json" application/vnd.example.licence-approval.document.v1+json)" \
  --argjson signature "$(descriptor "$work/approval.sig" application/vnd.example.licence-approval.signature.v1)" \
  '{schemaVersion: 2, mediaType: $type, artifactType: "application/vnd.example.licence-approval.v1",
    config: $config, layers: [$document, $signature], subject: $subject}' >"$work/artifact"

for file in config layer image empty approval.json approval.sig artifact; do put "$work/$file"; done
printf '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
jq -cn --argjson image "$image" --argjson artifact "$(descriptor "$work/artifact" "$manifest_type")" \
  '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
    $image + {annotations: {"org.opencontainers.image.ref.name": "v1"}},
    $artifact + {annotations: {"org.opencontainers.image.ref.name": "approval"}}]}' >"$dir/index.json"
jq -n --rawfile key "$dir/approver.pub" '{publicKey: $key, allowed: ["MIT", "Apache-2.0", "BSD-3-Clause"]}' >"$dir/config.json"
echo "image    $(printf '%s' "$image" | jq -r .digest)"
echo "artifact sha256:$(digest "$work/artifact")"
