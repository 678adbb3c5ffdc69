#!/bin/sh
# A verifier in POSIX shell: an image must carry a licence approval that our key has signed.
#
# The artifact (type application/vnd.example.licence-approval.v1) has two layers, a document and its signature:
#   {"image": "sha256:…", "licences": ["MIT", …], "approvedBy": "legal@example.com"}
#   openssl dgst -sha256 -sign approver.key approval.json > approval.sig        (ECDSA on P-256)
# The configuration has `publicKey` (PEM, who must have signed) and `allowed` (licences).
#
# countersign hands over bytes whose digests it has checked: no network and no credential is needed. Whoever says neither
# yes nor no, by any exit code but 0, leaves the image undecided: nothing is admitted. Needs jq and openssl.
set -eu

# What it is asked, as variables: a member that is missing, or of another type, ends it here.
request=$(jq -er '
  def only($type): [.artifact.blobs[] | select(.descriptor.mediaType == $type) | .path]
    | if length == 1 then .[0] else "" end;
  @sh "name=\(.config.name | strings) key=\(.config.publicKey | strings) allowed=\(.config.allowed | arrays | tojson)",
  @sh "document=\(only("application/vnd.example.licence-approval.document.v1+json"))",
  @sh "signature=\(only("application/vnd.example.licence-approval.signature.v1"))"')
eval "$request"
# shellcheck disable=SC2154 # they come from the request
image=${RATIFY_VERIFIER_SUBJECT##*@}
printf '%s\n' "$key" | openssl pkey -pubin -noout

# One line, one object, exit 0: a verdict.
no() {
  jq -cn --arg name "$name" --arg why "$1" '{isSuccess: false, name: $name, message: $why}'
  exit 0
}
[ -n "$document" ] || no "the artifact has no approval document, or several"
[ -n "$signature" ] || no "the artifact has no signature, or several"

# Who said it, before what was said.
printf '%s\n' "$key" | openssl dgst -sha256 -verify /dev/stdin -signature "$signature" "$document" >/dev/null 2>&1 ||
  no "the approval is not signed by our key"

jq -ce --arg name "$name" --arg image "$image" --argjson allowed "$allowed" '
  (if .image != $image then "the approval is for another image"
   elif (.licences | type) != "array" or .licences == [] then "the approval names no licence"
   elif .licences - $allowed != [] then "licences that are not allowed: \(.licences - $allowed | join(", "))"
   else null end) as $objection
  | {isSuccess: ($objection == null), name: $name, message: ($objection // "the licences are approved"),
     extensions: {approvedBy, licences}}' "$document" 2>/dev/null || no "the approval cannot be read"
