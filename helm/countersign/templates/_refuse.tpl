{{/* What cannot work and values.schema.json cannot say. Included once, by the Deployment; renders nothing. */}}
{{- define "countersign.refuse" -}}
{{- $verify := include "countersign.verifyTimeout" . | int -}}
{{- $mutate := include "countersign.mutateTimeout" . | int -}}
{{- if ge $verify (int .Values.gatekeeper.webhookTimeoutSeconds) -}}
{{- fail (printf "provider.timeout.verify (%d s) must be below gatekeeper.webhookTimeoutSeconds (%d s): a denial that comes after Gatekeeper's webhook has timed out is an admission" $verify (int .Values.gatekeeper.webhookTimeoutSeconds)) -}}
{{- end -}}
{{- if gt $mutate (int .Values.gatekeeper.mutatingWebhookTimeoutSeconds) -}}
{{- fail (printf "provider.timeout.mutate (%d s) must not be above gatekeeper.mutatingWebhookTimeoutSeconds (%d s)" $mutate (int .Values.gatekeeper.mutatingWebhookTimeoutSeconds)) -}}
{{- end -}}
{{- $mode := include "countersign.certificateMode" . -}}
{{- $bundle := include "countersign.caBundle" . -}}
{{- if and $bundle (eq $mode "self") -}}
{{- fail "caBundle and certificates.mode self contradict each other: in that mode countersign makes the CA itself and keeps the Providers' caBundle" -}}
{{- end -}}
{{- if and (eq $mode "secret") (not .Values.provider.tls.crt) (not .Values.certificates.secretName) -}}
{{- fail "certificates.mode secret needs certificates.secretName, or provider.tls.crt and provider.tls.key" -}}
{{- end -}}
{{- if and .Values.provider.tls.crt (not $bundle) -}}
{{- fail "provider.tls.crt needs provider.tls.cabundle: Gatekeeper does not ask a provider whose authority it is not told" -}}
{{- end -}}
{{- if and (ne .Release.Namespace (include "countersign.gatekeeperNamespace" .)) (not .Values.gatekeeper.clientCa) -}}
{{- fail (printf "countersign is installed into %s and Gatekeeper is in %s: a Secret cannot be read across namespaces, so give its authority: --set-file gatekeeper.clientCa=ca.crt (kubectl get secret %s -n %s -o jsonpath='{.data.ca\\.crt}' | base64 -d)" .Release.Namespace (include "countersign.gatekeeperNamespace" .) .Values.gatekeeper.clientCaSecret.name (include "countersign.gatekeeperNamespace" .)) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is below autoscaling.minReplicas" -}}
{{- end -}}
{{- include "countersign.refuseTrust" . -}}
{{- $known := include "countersign.files" . | fromJson | keys -}}
{{- if has "countersign.yaml" $known -}}
{{- fail "extraFiles must not have countersign.yaml: lay over the configuration with extraConfig" -}}
{{- end -}}
{{- if and (or .Values.registries.pullSecrets .Values.registries.dockerConfigSecret .Values.oras.authProviders.k8secretsEnabled) (not (without (keys .Values.registries.hosts) "*")) -}}
{{- fail "credentials are only sent to registries that are named: give each an entry of its own under registries.hosts, as --set-json 'registries.hosts={\"registry.example.com\": {}, \"*\": {}}'" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.refuseTrust" -}}
{{- if not (include "countersign.verifiers" . | fromJsonArray) -}}
{{- fail "nothing is trusted, so that every image would be refused: give --set-file 'notationCerts[0]=root.pem', --set-file 'cosignKeys[0]=cosign.pub', cosign.keyless.*, or verifiers" -}}
{{- end -}}
{{- $certs := include "countersign.notationCerts" . | fromJsonArray -}}
{{- range $certs -}}
{{- if not (contains "-----BEGIN CERTIFICATE-----" .) -}}
{{- fail "notationCerts must be PEM certificates; give files by --set-file, not --set" -}}
{{- end -}}
{{- end -}}
{{- range include "countersign.cosignKeys" . | fromJsonArray -}}
{{- if not (contains "PUBLIC KEY-----" .) -}}
{{- fail "cosignKeys must be PEM public keys; give files by --set-file, not --set" -}}
{{- end -}}
{{- end -}}
{{- range .Values.notation.trustPolicies -}}
{{- range .trustStores -}}
{{- $index := regexFind "[0-9]+" . -}}
{{- if and $index (ge (int $index) (len $certs)) -}}
{{- fail (printf "notation.trustPolicies: trust store %s names a certificate that is not there; notationCerts has %d" . (len $certs)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $keyless := include "countersign.keyless" . | fromJson -}}
{{- if and .Values.cosign.enabled (include "countersign.cosignKeys" . | fromJsonArray) $keyless -}}
{{- fail "cosign: keys and keyless identities exclude each other in one trust policy; write the second as an element of verifiers" -}}
{{- end -}}
{{- if and $keyless (not (and (or (hasKey $keyless "subject") (hasKey $keyless "subjectRegExp")) (or (hasKey $keyless "issuer") (hasKey $keyless "issuerRegExp")))) -}}
{{- fail "cosign.keyless needs an identity and an issuer: anybody may get a certificate for any name from some issuer" -}}
{{- end -}}
{{- end -}}
