{{/* Names and labels. */}}

{{- define "sealgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Beginning of every name: at most 40 characters, so that every suffix and the StatefulSet's own fit into a label. */}}
{{- define "sealgate.fullname" -}}
{{- $name := include "sealgate.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the objects of this release. It never changes: a StatefulSet's selector cannot. */}}
{{- define "sealgate.selector" -}}
app.kubernetes.io/name: {{ include "sealgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What selects the gateway's pods. */}}
{{- define "sealgate.podSelector" -}}
{{ include "sealgate.selector" . }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "sealgate.labels" -}}
{{ include "sealgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sealgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sealgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image's reference: (dict "image" … "root" …). */}}
{{- define "sealgate.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The parts of publicBase as YAML: scheme, host (without port), path ("/" where there is none). What is no URL gives a host that cannot be. */}}
{{- define "sealgate.public" -}}
{{- if regexMatch "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" .Values.publicBase -}}
{{- $url := urlParse .Values.publicBase -}}
scheme: {{ $url.scheme }}
host: {{ regexReplaceAll ":[0-9]+$" $url.host "" | quote }}
path: {{ $url.path | trimSuffix "/" | default "/" | quote }}
{{- else -}}
scheme: https
host: invalid.invalid
path: /
{{- end -}}
{{- end -}}

{{/* The Secret with the FHIR port's certificate; empty: the gateway speaks plain HTTP. */}}
{{- define "sealgate.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{- printf "%s-tls" (include "sealgate.fullname" .) -}}
{{- else -}}
{{- .Values.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "sealgate.scheme" -}}
{{- if include "sealgate.tlsSecret" . }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "sealgate.servicePort" -}}
{{- if .Values.service.port }}{{ int .Values.service.port }}{{ else if include "sealgate.tlsSecret" . }}443{{ else }}80{{ end -}}
{{- end -}}

{{/* Where the Services answer inside the cluster. */}}
{{- define "sealgate.adminUrl" -}}
http://{{ include "sealgate.fullname" . }}-admin.{{ .Release.Namespace }}.svc:9090
{{- end -}}

{{- define "sealgate.logUrl" -}}
http://{{ include "sealgate.fullname" . }}-log.{{ .Release.Namespace }}.svc:8091
{{- end -}}

{{- define "sealgate.insideBase" -}}
{{- $public := fromYaml (include "sealgate.public" .) -}}
{{ include "sealgate.scheme" . }}://{{ include "sealgate.fullname" . }}.{{ .Release.Namespace }}.svc:{{ include "sealgate.servicePort" . }}{{ trimSuffix "/" $public.path }}
{{- end -}}

{{/* Containers that stop in order (the sidecar after the gateway) came with Kubernetes 1.29. */}}
{{- define "sealgate.nativeSidecar" -}}
{{- if semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version }}true{{ end -}}
{{- end -}}
