{{/* What Gatekeeper is told, made of the same values as the configuration: rego/ with this release's names. A JSON map of file
     names to texts. files/ is a copy of rego/, since a chart is a folder of its own; a test keeps it one. */}}
{{- define "countersign.manifests" -}}
{{- $exempt := include "countersign.exemptNamespaces" . | fromJsonArray -}}
{{- $files := dict "template.yaml" (.Files.Get "files/template.yaml") -}}
{{- if not (include "countersign.caBundle" .) -}}
{{- range include "countersign.providers" . | fromJsonArray -}}
{{- $_ := set $files (printf "provider-%s.yaml" .name) (include "countersign.providerManifest" (dict "provider" . "caBundle" "CA_BUNDLE" "root" $)) -}}
{{- end -}}
{{- end -}}
{{- $constraint := .Files.Get "files/constraint.yaml" | fromYaml -}}
{{- $_ := set $constraint.spec "enforcementAction" .Values.enforcementAction -}}
{{- $_ := set $constraint.spec.match "excludedNamespaces" $exempt -}}
{{- $_ := set $files "constraint.yaml" (toYaml $constraint) -}}
{{- if .Values.expansion.enabled -}}
{{- $_ := set $files "expansion.yaml" (.Files.Get "files/expansion.yaml") -}}
{{- end -}}
{{- if .Values.provider.enableMutation -}}
{{- range $path, $bytes := .Files.Glob "files/mutation/*.yaml" -}}
{{- $assign := toString $bytes | fromYaml -}}
{{- $_ := set $assign.spec.match "excludedNamespaces" (concat $exempt $.Values.provider.mutationExcludedNamespaces | uniq | sortAlpha) -}}
{{- /* While nothing is refused, an image that cannot be resolved keeps its tag. */}}
{{- $_ := set $assign.spec.parameters.assign.externalData "failurePolicy" (ternary "Fail" "Ignore" (eq $.Values.enforcementAction "deny")) -}}
{{- $_ := set $files (printf "mutation-%s" (base $path)) (toYaml $assign) -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "countersign.providerManifest" -}}
apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata:
  name: {{ .provider.name }}
  labels:
    {{- include "countersign.selectorLabels" .root | nindent 4 }}
spec:
  url: https://{{ include "countersign.fullname" .root }}.{{ .root.Release.Namespace }}.svc:6001{{ .provider.path }}
  # Whole seconds; the same as the configuration's server.providerTimeout.
  timeout: {{ .provider.timeout }}
  caBundle: {{ .caBundle }}
{{ end -}}

{{/* The objects that the hook makes: group, resource and names, as a JSON list. */}}
{{- define "countersign.applied" -}}
{{- $found := list -}}
{{- if not (include "countersign.caBundle" .) -}}
{{- $found = append $found (dict "group" "externaldata.gatekeeper.sh" "resource" "providers" "names" (include "countersign.providerNames" . | fromJsonArray)) -}}
{{- end -}}
{{- $found = append $found (dict "group" "templates.gatekeeper.sh" "resource" "constrainttemplates" "names" (list "verifiedimages")) -}}
{{- $found = append $found (dict "group" "constraints.gatekeeper.sh" "resource" "verifiedimages" "names" (list "images-are-verified")) -}}
{{- if .Values.expansion.enabled -}}
{{- $found = append $found (dict "group" "expansion.gatekeeper.sh" "resource" "expansiontemplate" "names" (list "expand-workloads" "expand-cronjobs")) -}}
{{- end -}}
{{- if .Values.provider.enableMutation -}}
{{- $names := list -}}
{{- range $_, $bytes := .Files.Glob "files/mutation/*.yaml" -}}{{- $names = append $names (toString $bytes | fromYaml).metadata.name -}}{{- end -}}
{{- $found = append $found (dict "group" "mutations.gatekeeper.sh" "resource" "assign" "names" $names) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
