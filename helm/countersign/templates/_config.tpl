{{/* The product's configuration, made of values. Each part is a template that gives JSON; _config.tpl alone knows the product's words. */}}

{{/* All certificates, whatever value they came by, as a JSON list. */}}
{{- define "countersign.notationCerts" -}}
{{- $certs := list -}}
{{- range concat .Values.notationCerts (list .Values.notationCert .Values.notaryCert) -}}
{{- if . -}}{{- $certs = append $certs . -}}{{- end -}}
{{- end -}}
{{- toJson $certs -}}
{{- end -}}

{{- define "countersign.cosignKeys" -}}
{{- $keys := list -}}
{{- range append .Values.cosignKeys .Values.cosign.key -}}
{{- if . -}}{{- $keys = append $keys . -}}{{- end -}}
{{- end -}}
{{- toJson $keys -}}
{{- end -}}

{{/* The files beside the configuration, by name, as a JSON map. */}}
{{- define "countersign.files" -}}
{{- $files := deepCopy .Values.extraFiles -}}
{{- if .Values.notation.enabled -}}
{{- range $index, $pem := include "countersign.notationCerts" . | fromJsonArray -}}
{{- $_ := set $files (printf "notation-%d.pem" $index) $pem -}}
{{- end -}}
{{- end -}}
{{- if .Values.cosign.enabled -}}
{{- range $index, $pem := include "countersign.cosignKeys" . | fromJsonArray -}}
{{- $_ := set $files (printf "cosign-%d.pub" $index) $pem -}}
{{- end -}}
{{- end -}}
{{- if eq (include "countersign.clientCaFrom" .) "value" -}}
{{- $_ := set $files "gatekeeper-ca.crt" .Values.gatekeeper.clientCa -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{/* The verifier of notationCerts, or nothing. Stores: `certs` has all of them, `cert-N` the one of that index. */}}
{{- define "countersign.notationVerifier" -}}
{{- $certs := include "countersign.notationCerts" . | fromJsonArray -}}
{{- if and .Values.notation.enabled $certs -}}
{{- $types := dict "ca" (dict) "signingAuthority" (dict) "tsa" (dict) -}}
{{- $all := list -}}
{{- range $index, $pem := $certs -}}
{{- $all = append $all (printf "notation-%d.pem" $index) -}}
{{- end -}}
{{- $statements := list -}}
{{- range .Values.notation.trustPolicies -}}
{{- $stores := list -}}
{{- range default (list "ca:certs") .trustStores -}}
{{- $type := splitList ":" . | first -}}
{{- $wanted := splitList ":" . | rest | join ":" -}}
{{- if eq $wanted "certs" -}}
{{- $_ := set (get $types $type) "certs" $all -}}
{{- $stores = append $stores . -}}
{{- else -}}
{{- $index := regexFind "[0-9]+" $wanted | int -}}
{{- $_ := set (get $types $type) (printf "cert-%d" $index) (list (printf "notation-%d.pem" $index)) -}}
{{- $stores = append $stores (printf "%s:cert-%d" $type $index) -}}
{{- end -}}
{{- end -}}
{{- $statement := dict "name" .name "registryScopes" .registryScopes "signatureVerification" (dict "level" (default "strict" .level)) -}}
{{- if ne (default "strict" .level) "skip" -}}
{{- $_ := set $statement "trustStores" ($stores | uniq) -}}
{{- $_ := set $statement "trustedIdentities" .trustedIdentities -}}
{{- end -}}
{{- $statements = append $statements $statement -}}
{{- end -}}
{{- $stores := dict -}}
{{- range $type, $named := $types -}}
{{- if $named -}}{{- $_ := set $stores $type $named -}}{{- end -}}
{{- end -}}
{{- $verifier := dict "name" "notation" "type" "notation" "trustPolicies" $statements "trustStores" $stores -}}
{{- if .Values.notation.revocation -}}{{- $_ := set $verifier "revocation" .Values.notation.revocation -}}{{- end -}}
{{- toJson $verifier -}}
{{- end -}}
{{- end -}}

{{/* `*` and `…/*` are everything below, as Ratify has it; the product writes that `**`. */}}
{{- define "countersign.scope" -}}
{{- if or (eq . "*") (and (hasSuffix "/*" .) (not (hasSuffix "**" .))) -}}{{ . }}*{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* The verifier of cosignKeys, or of keyless identities, or nothing. */}}
{{- define "countersign.cosignVerifier" -}}
{{- $keys := include "countersign.cosignKeys" . | fromJsonArray -}}
{{- $keyless := include "countersign.keyless" . | fromJson -}}
{{- if and .Values.cosign.enabled (or $keys $keyless) -}}
{{- $scopes := list -}}
{{- range .Values.cosign.scopes -}}{{- $scopes = append $scopes (include "countersign.scope" .) -}}{{- end -}}
{{- $policy := dict "name" "default" "scopes" $scopes -}}
{{- if $keys -}}
{{- $files := list -}}
{{- range $index, $pem := $keys -}}{{- $files = append $files (dict "file" (printf "cosign-%d.pub" $index)) -}}{{- end -}}
{{- $_ := set $policy "keys" $files -}}
{{- else -}}
{{- $_ := set $policy "identities" (list $keyless) -}}
{{- if not .Values.cosign.keyless.ctLogVerify -}}{{- $_ := set $policy "ignoreSct" true -}}{{- end -}}
{{- end -}}
{{- if .Values.cosign.tLogVerify -}}
{{- $_ := set $policy "trustedRoot" .Values.cosign.trustedRoot -}}
{{- else -}}
{{- $_ := set $policy "ignoreTlog" true -}}
{{- if not $keys -}}{{- $_ := set $policy "trustedRoot" .Values.cosign.trustedRoot -}}{{- end -}}
{{- end -}}
{{- toJson (dict "name" "cosign" "type" "cosign" "trustPolicies" (list $policy)) -}}
{{- end -}}
{{- end -}}

{{/* The identity of cosign.keyless as a JSON map; empty: none. */}}
{{- define "countersign.keyless" -}}
{{- $identity := dict -}}
{{- with .Values.cosign.keyless -}}
{{- if .certificateIdentity -}}{{- $_ := set $identity "subject" .certificateIdentity -}}{{- end -}}
{{- if .certificateIdentityRegExp -}}{{- $_ := set $identity "subjectRegExp" .certificateIdentityRegExp -}}{{- end -}}
{{- if .certificateOIDCIssuer -}}{{- $_ := set $identity "issuer" .certificateOIDCIssuer -}}{{- end -}}
{{- if .certificateOIDCIssuerRegExp -}}{{- $_ := set $identity "issuerRegExp" .certificateOIDCIssuerRegExp -}}{{- end -}}
{{- end -}}
{{- toJson $identity -}}
{{- end -}}

{{/* Every verifier as a JSON list; one of `verifiers` takes the place of a made one of its name. */}}
{{- define "countersign.verifiers" -}}
{{- $given := list -}}
{{- range .Values.verifiers -}}{{- $given = append $given .name -}}{{- end -}}
{{- $found := list -}}
{{- range list (include "countersign.notationVerifier" .) (include "countersign.cosignVerifier" .) -}}
{{- if . -}}
{{- $made := fromJson . -}}
{{- if not (has $made.name $given) -}}{{- $found = append $found $made -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- concat $found .Values.verifiers | toJson -}}
{{- end -}}

{{- define "countersign.policies" -}}
{{- if .Values.policies -}}
{{- toJson .Values.policies -}}
{{- else -}}
{{- $names := list -}}
{{- range include "countersign.verifiers" . | fromJsonArray -}}{{- $names = append $names .name -}}{{- end -}}
{{- list (dict "scopes" (list "**") "require" (dict .Values.policy.require $names)) | toJson -}}
{{- end -}}
{{- end -}}

{{/* Hosts, each named one without credentials of its own with those that the values bring. */}}
{{- define "countersign.hosts" -}}
{{- $credentials := dict -}}
{{- $secrets := include "countersign.pullSecrets" . | fromJsonArray -}}
{{- if .Values.registries.dockerConfigSecret -}}
{{- $credentials = dict "dockerConfig" "/var/run/countersign/docker/config.json" -}}
{{- else -}}
{{- if $secrets -}}{{- $_ := set $credentials "pullSecrets" $secrets -}}{{- end -}}
{{- if .Values.oras.authProviders.k8secretsEnabled -}}{{- $_ := set $credentials "serviceAccount" (include "countersign.serviceAccountName" .) -}}{{- end -}}
{{- end -}}
{{- $hosts := dict -}}
{{- range $host, $how := .Values.registries.hosts -}}
{{- $how = deepCopy (default dict $how) -}}
{{- if and $credentials (ne $host "*") (not (hasKey $how "credentials")) -}}{{- $_ := set $how "credentials" $credentials -}}{{- end -}}
{{- $_ := set $hosts $host $how -}}
{{- end -}}
{{- toJson $hosts -}}
{{- end -}}

{{- define "countersign.server" -}}
{{- $tls := dict "clientName" (include "countersign.clientName" .) -}}
{{- $from := include "countersign.clientCaFrom" . -}}
{{- if eq $from "value" -}}{{- $_ := set $tls "clientCa" "gatekeeper-ca.crt" -}}{{- end -}}
{{- if eq $from "volume" -}}{{- $_ := set $tls "clientCa" "/var/run/countersign/gatekeeper/ca.crt" -}}{{- end -}}
{{- if ne (include "countersign.certificateMode" .) "self" -}}
{{- $_ := set $tls "certificate" "/var/run/countersign/tls/tls.crt" -}}
{{- $_ := set $tls "key" "/var/run/countersign/tls/tls.key" -}}
{{- end -}}
{{- $timeout := dict "verify" (printf "%ss" (include "countersign.verifyTimeout" .)) "mutate" (printf "%ss" (include "countersign.mutateTimeout" .)) -}}
{{- dict "address" "0.0.0.0:6001" "admin" (printf "0.0.0.0:%d" (int .Values.instrumentation.metricsPort)) "tls" $tls "providerTimeout" $timeout "shutdownTimeout" (printf "%ds" (int .Values.shutdownTimeoutSeconds)) | toJson -}}
{{- end -}}

{{/* The section `kubernetes` as a JSON map; empty: the API server is never asked. */}}
{{- define "countersign.kubernetes" -}}
{{- $kubernetes := dict -}}
{{- if include "countersign.needsApi" . -}}
{{- $_ := set $kubernetes "namespace" .Release.Namespace -}}
{{- if eq (include "countersign.certificateMode" .) "self" -}}
{{- $name := include "countersign.fullname" . -}}
{{- $certificates := dict "secret" (include "countersign.tlsSecretName" .) "service" $name "lease" (printf "%s-certificates" $name) "providers" (include "countersign.providerNames" . | fromJsonArray) -}}
{{- if .Values.certificates.validity -}}{{- $_ := set $certificates "validity" .Values.certificates.validity -}}{{- end -}}
{{- if .Values.certificates.renewBefore -}}{{- $_ := set $certificates "renewBefore" .Values.certificates.renewBefore -}}{{- end -}}
{{- $_ := set $kubernetes "certificates" $certificates -}}
{{- end -}}
{{- if eq (include "countersign.clientCaFrom" .) "api" -}}{{- $_ := set $kubernetes "clientCaSecret" .Values.gatekeeper.clientCaSecret.name -}}{{- end -}}
{{- end -}}
{{- toJson $kubernetes -}}
{{- end -}}

{{- define "countersign.config" -}}
{{- $config := dict -}}
{{- $_ := set $config "server" (include "countersign.server" . | fromJson) -}}
{{- with include "countersign.kubernetes" . | fromJson -}}{{- $_ := set $config "kubernetes" . -}}{{- end -}}
{{- $_ := set $config "stores" (list (dict "name" "registries" "type" "registry" "hosts" (include "countersign.hosts" . | fromJson))) -}}
{{- $_ := set $config "verifiers" (include "countersign.verifiers" . | fromJsonArray) -}}
{{- $_ := set $config "policies" (include "countersign.policies" . | fromJsonArray) -}}
{{- $_ := set $config "limits" (dict "listingTtl" (printf "%ds" (int .Values.oras.cache.ttl)) "verdictTtl" .Values.provider.cache.ttl) -}}
{{- $_ := set $config "telemetry" (dict "logFormat" .Values.logger.formatter "logLevel" .Values.logger.level) -}}
{{- include "countersign.laid" (list $config .Values.extraConfig) | fromJson | toYaml -}}
{{- end -}}

{{/* The second of two maps laid over the first: maps are merged, all else is replaced, by false, 0 and "" too (which Sprig's merge would drop). */}}
{{- define "countersign.laid" -}}
{{- $under := deepCopy (index . 0) -}}
{{- range $key, $over := index . 1 -}}
{{- if and (kindIs "map" $over) (kindIs "map" (get $under $key)) -}}
{{- $_ := set $under $key (include "countersign.laid" (list (get $under $key) $over) | fromJson) -}}
{{- else -}}
{{- $_ := set $under $key $over -}}
{{- end -}}
{{- end -}}
{{- toJson $under -}}
{{- end -}}
