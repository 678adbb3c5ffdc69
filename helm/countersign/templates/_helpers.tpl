{{/* Names, labels, and what follows from several values. Configuration: _config.tpl; refusals: _refuse.tpl. */}}

{{- define "countersign.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Names made of it get up to ten characters more, and a Job's at most 63. */}}
{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "countersign.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "countersign.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.selectorLabels" -}}
app.kubernetes.io/name: {{ include "countersign.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "countersign.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "countersign.selectorLabels" . }}
app.kubernetes.io/component: provider
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Of the hook: another component, so that no selector of the provider finds its Pod. */}}
{{- define "countersign.applyLabels" -}}
{{- include "countersign.labels" . | replace "component: provider" "component: apply" -}}
{{- end -}}

{{/* Runs after install and upgrade, in the order of the weight; made anew each time, taken away when it has succeeded. */}}
{{- define "countersign.hook" -}}
helm.sh/hook: post-install,post-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "countersign.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "countersign.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "countersign.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s:%s@%s" .Values.image.repository $tag .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{- define "countersign.gatekeeperNamespace" -}}
{{- default "gatekeeper-system" .Values.gatekeeper.namespace -}}
{{- end -}}

{{/* Of the Provider that verifies, in whole seconds; Ratify's name wins. */}}
{{- define "countersign.verifyTimeout" -}}
{{- default .Values.provider.timeout.verify .Values.provider.timeout.validationTimeoutSeconds | int -}}
{{- end -}}

{{- define "countersign.mutateTimeout" -}}
{{- default .Values.provider.timeout.mutate .Values.provider.timeout.mutationTimeoutSeconds | int -}}
{{- end -}}

{{/* self, certManager or secret; a certificate among the values is mode secret. */}}
{{- define "countersign.certificateMode" -}}
{{- if .Values.provider.tls.crt -}}secret{{- else -}}{{ .Values.certificates.mode }}{{- end -}}
{{- end -}}

{{/* The Secret of the serving certificate, whoever makes it. */}}
{{- define "countersign.tlsSecretName" -}}
{{- if and (eq (include "countersign.certificateMode" .) "secret") (not .Values.provider.tls.crt) -}}
{{- .Values.certificates.secretName -}}
{{- else -}}
{{- printf "%s-tls" (include "countersign.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Base64 of PEM, or nothing. */}}
{{- define "countersign.caBundle" -}}
{{- $given := default .Values.caBundle .Values.provider.tls.cabundle -}}
{{- if contains "-----BEGIN" $given -}}{{- $given | b64enc -}}{{- else -}}{{- $given | nospace -}}{{- end -}}
{{- end -}}

{{/* volume, api or value: where Gatekeeper's client CA comes from. */}}
{{- define "countersign.clientCaFrom" -}}
{{- if .Values.gatekeeper.clientCa -}}value{{- else -}}{{ .Values.gatekeeper.clientCaSecret.from }}{{- end -}}
{{- end -}}

{{- define "countersign.clientName" -}}
{{- default (printf "gatekeeper-webhook-service.%s.svc" (include "countersign.gatekeeperNamespace" .)) .Values.gatekeeper.clientName -}}
{{- end -}}

{{/* Pull Secrets, each with its namespace, as a JSON list. */}}
{{- define "countersign.pullSecrets" -}}
{{- $found := list -}}
{{- range .Values.registries.pullSecrets -}}
{{- $found = append $found (dict "name" .name "namespace" (default $.Release.Namespace .namespace)) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* "true" where the product talks to the API server at all. */}}
{{- define "countersign.needsApi" -}}
{{- if or (eq (include "countersign.certificateMode" .) "self") (eq (include "countersign.clientCaFrom" .) "api") .Values.registries.pullSecrets .Values.oras.authProviders.k8secretsEnabled -}}
true
{{- end -}}
{{- end -}}

{{/* The Provider objects: name, path and timeout, as a JSON list. Names do not depend on the release: templates name them. */}}
{{- define "countersign.providers" -}}
{{- $verify := include "countersign.verifyTimeout" . | int -}}
{{- $mutate := include "countersign.mutateTimeout" . | int -}}
{{- $found := list (dict "name" "countersign" "path" "/countersign/gatekeeper/v1/verify" "timeout" $verify) -}}
{{- if .Values.provider.enableMutation -}}
{{- $found = append $found (dict "name" "countersign-mutation" "path" "/countersign/gatekeeper/v1/mutate" "timeout" $mutate) -}}
{{- end -}}
{{- if .Values.provider.ratifyNames -}}
{{- $found = append $found (dict "name" "ratify-provider" "path" "/ratify/gatekeeper/v1/verify" "timeout" $verify) -}}
{{- if .Values.provider.enableMutation -}}
{{- $found = append $found (dict "name" "ratify-mutation-provider" "path" "/ratify/gatekeeper/v1/mutate" "timeout" $mutate) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "countersign.providerNames" -}}
{{- $names := list -}}
{{- range include "countersign.providers" . | fromJsonArray -}}{{- $names = append $names .name -}}{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* Namespaces that are not asked about, sorted and each once, as a JSON list. */}}
{{- define "countersign.exemptNamespaces" -}}
{{- concat (list "kube-system" (include "countersign.gatekeeperNamespace" .) .Release.Namespace) .Values.exemptNamespaces | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* What every container may: nothing. */}}
{{- define "countersign.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end -}}

{{- define "countersign.podSecurityContext" -}}
fsGroup: 65532
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
{{- if .Values.enableRuntimeDefaultSeccompProfile }}
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end -}}
