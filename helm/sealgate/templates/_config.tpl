{{/* What the chart itself writes into both configurations, as YAML. Everything else comes from `gateway.config` and `sidecar.config`. */}}

{{- define "sealgate.gateway.settings" -}}
server:
  listen: "0.0.0.0:8443"
  public_base: {{ trimSuffix "/" .Values.publicBase | quote }}
  workers: {{ int .Values.gateway.workers }}
  limits:
    drain_timeout: {{ printf "%ds" (int .Values.gateway.drainSeconds) }}
  {{- if include "sealgate.tlsSecret" . }}
  tls:
    certificate_file: /etc/sealgate/secrets/tls/tls.crt
    key_file: /etc/sealgate/secrets/tls/tls.key
  {{- end }}
upstream:
  {{- include "sealgate.peer.settings" (dict "peer" .Values.upstream "dir" "upstream") | nindent 2 }}
{{- if .Values.consentSource.base }}
consent_source:
  {{- include "sealgate.peer.settings" (dict "peer" .Values.consentSource "dir" "consent-source") | nindent 2 }}
{{- end }}
audit_event:
  mode: {{ .Values.auditEvent.mode }}
  {{- if .Values.auditEvent.base }}
  {{- include "sealgate.peer.settings" (dict "peer" .Values.auditEvent "dir" "audit-event") | nindent 2 }}
  {{- end }}
auth:
  issuers: {{ toJson .Values.auth.issuers }}
{{- if .Values.policy.existingConfigMap }}
policy:
  cedar_dir: /etc/sealgate/policies
  {{- with .Values.policy.labelSetsKey }}
  label_sets_file: /etc/sealgate/policies/{{ . }}
  {{- end }}
{{- end }}
journal:
  path: /var/lib/sealgate/journal/journal.db
  kek_file: /etc/sealgate/secrets/kek
  tenant: {{ .Values.tenant | quote }}
  max_size: {{ printf "%d GiB" (int .Values.gateway.journalMaxGiB) }}
sidecar:
  socket: /run/sealgate/ingest.sock
  log_key: {{ .Values.log.verifierKey | quote }}
admin:
  listen: "0.0.0.0:9090"
  token_file: /etc/sealgate/secrets/admin-token
telemetry:
  log_level: {{ .Values.telemetry.logLevel }}
  {{- with .Values.telemetry.otlpEndpoint }}
  otlp_endpoint: {{ . | quote }}
  {{- end }}
{{- end -}}

{{/* A FHIR server that the gateway calls: (dict "peer" … "dir" …). */}}
{{- define "sealgate.peer.settings" -}}
base: {{ .peer.base | quote }}
{{- if .peer.dangerPlainHttp }}
danger_plain_http: true
{{- end }}
{{- if .peer.bearerToken.existingSecret }}
bearer_token_file: /etc/sealgate/secrets/{{ .dir }}/token
{{- end }}
{{- if .peer.clientCertificate.existingSecret }}
client_certificate_file: /etc/sealgate/secrets/{{ .dir }}/tls.crt
client_key_file: /etc/sealgate/secrets/{{ .dir }}/tls.key
{{- end }}
{{- if or .peer.ca.existingSecret .peer.ca.existingConfigMap }}
ca_file: /etc/sealgate/secrets/{{ .dir }}/ca.crt
{{- end }}
{{- end -}}

{{- define "sealgate.sidecar.settings" -}}
log:
  origin: {{ .Values.log.origin | quote }}
  dir: /var/lib/sealgate/log/log
  key_file: /etc/sealgate/secrets/log.key
  tenant: {{ .Values.tenant | quote }}
  {{- if .Values.log.dangerNetworkFileSystem }}
  danger_network_file_system: true
  {{- end }}
ingest:
  socket: /run/sealgate/ingest.sock
public:
  listen: "0.0.0.0:8091"
{{- if .Values.anchor.enabled }}
anchor:
  {{- if not .Values.anchor.rpcSecret.existingSecret }}
  rpc: {{ toJson .Values.anchor.rpc }}
  {{- end }}
  {{- if .Values.anchor.dangerSingleRpc }}
  danger_single_rpc: true
  {{- end }}
  chain_id: {{ int64 .Values.anchor.chainId }}
  contract: {{ .Values.anchor.contract | quote }}
  code_hash: {{ .Values.anchor.codeHash | quote }}
  log_id: {{ .Values.anchor.logId | quote }}
  publisher_key_file: /etc/sealgate/secrets/publisher.key
  {{- if .Values.keys.publisher.passwordKey }}
  publisher_password_file: /etc/sealgate/secrets/publisher.password
  {{- end }}
  cadence_seconds: {{ int64 .Values.anchor.cadenceSeconds }}
  max_fee_gwei: {{ int64 .Values.anchor.maxFeeGwei }}
  {{- if .Values.anchor.finalityDepth }}
  finality_depth: {{ int64 .Values.anchor.finalityDepth }}
  {{- end }}
{{- end }}
telemetry:
  log_level: {{ .Values.telemetry.logLevel }}
  {{- with .Values.telemetry.otlpEndpoint }}
  otlp_endpoint: {{ . | quote }}
  {{- end }}
limits:
  drain_seconds: {{ int .Values.sidecar.drainSeconds }}
{{- end -}}

{{/* Both files, whole. */}}
{{- define "sealgate.gateway.toml" -}}
{{- include "sealgate.toml" (mergeOverwrite (deepCopy .Values.gateway.config) (fromYaml (include "sealgate.gateway.settings" .))) | trim -}}
{{- end -}}

{{/* What of the gateway's file takes effect at a start only: consent, redaction, roles, break_glass, client, policy and shadow are read again while it runs (ADR 0030). */}}
{{- define "sealgate.gateway.started" -}}
{{- include "sealgate.toml" (omit (mergeOverwrite (deepCopy .Values.gateway.config) (fromYaml (include "sealgate.gateway.settings" .))) "consent" "redaction" "roles" "break_glass" "client" "policy" "shadow") | trim -}}
{{- end -}}

{{- define "sealgate.sidecar.toml" -}}
{{- include "sealgate.toml" (mergeOverwrite (deepCopy .Values.sidecar.config) (fromYaml (include "sealgate.sidecar.settings" .))) | trim -}}
{{- end -}}

{{/* What a verifier believes beforehand (docs/spec/proof.md), as `anchor-sidecar trust` prints it. */}}
{{- define "sealgate.trust" -}}
{{- $trust := dict "v" 1 "origin" .Values.log.origin "log_key" .Values.log.verifierKey -}}
{{- if .Values.anchor.enabled -}}
{{- $chain := dict "chain_id" (printf "%d" (int64 .Values.anchor.chainId)) "contract" (lower .Values.anchor.contract) "code_hash" .Values.anchor.codeHash "log_id" .Values.anchor.logId -}}
{{- $_ := set $trust "chains" (list $chain) -}}
{{- end -}}
{{- toPrettyJson $trust -}}
{{- end -}}
