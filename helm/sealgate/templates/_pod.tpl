{{/* The two containers, and what is mounted into them. */}}

{{/* Restricted pod security (kubernetes.io/docs/concepts/security/pod-security-standards). */}}
{{- define "sealgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sealgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sealgate.gateway.container" -}}
name: gateway
image: {{ include "sealgate.image" (dict "image" .Values.images.gateway "root" .) | quote }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
args: [serve, --config, /etc/sealgate/config/gateway.toml]
{{- with .Values.gateway.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: fhir, containerPort: 8443, protocol: TCP}
  - {name: admin, containerPort: 9090, protocol: TCP}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- if and .Values.gateway.leaveSeconds (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) }}
lifecycle:
  preStop:
    sleep: {seconds: {{ int .Values.gateway.leaveSeconds }}}
{{- end }}
resources:
  {{- toYaml .Values.gateway.resources | nindent 2 }}
securityContext:
  {{- include "sealgate.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: gateway-config, mountPath: /etc/sealgate/config, readOnly: true}
  - {name: gateway-secrets, mountPath: /etc/sealgate/secrets, readOnly: true}
  {{- if .Values.policy.existingConfigMap }}
  - {name: policies, mountPath: /etc/sealgate/policies, readOnly: true}
  {{- end }}
  - {name: journal, mountPath: /var/lib/sealgate/journal}
  - {name: run, mountPath: /run/sealgate}
  - {name: gateway-tmp, mountPath: /tmp}
{{- end -}}

{{- define "sealgate.sidecar.container" -}}
name: sidecar
image: {{ include "sealgate.image" (dict "image" .Values.images.sidecar "root" .) | quote }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
{{- if include "sealgate.nativeSidecar" . }}
restartPolicy: Always
{{- end }}
args: [serve, --config, /etc/sealgate/config/sidecar.toml]
{{- if or .Values.sidecar.extraEnv (and .Values.anchor.enabled .Values.anchor.rpcSecret.existingSecret) }}
env:
  {{- if and .Values.anchor.enabled .Values.anchor.rpcSecret.existingSecret }}
  - name: SEALGATE__ANCHOR__RPC
    valueFrom:
      secretKeyRef:
        name: {{ .Values.anchor.rpcSecret.existingSecret }}
        key: {{ .Values.anchor.rpcSecret.key }}
  {{- end }}
  {{- with .Values.sidecar.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
ports:
  - {name: log, containerPort: 8091, protocol: TCP}
startupProbe:
  httpGet: {path: /readyz, port: log}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /livez, port: log}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: log}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
resources:
  {{- toYaml .Values.sidecar.resources | nindent 2 }}
securityContext:
  {{- include "sealgate.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: sidecar-config, mountPath: /etc/sealgate/config, readOnly: true}
  - {name: sidecar-secrets, mountPath: /etc/sealgate/secrets, readOnly: true}
  - {name: log, mountPath: /var/lib/sealgate/log}
  - {name: run, mountPath: /run/sealgate}
  - {name: sidecar-tmp, mountPath: /tmp}
{{- end -}}

{{/*
Secrets are mounted as 0440 for the group of the pod: the programs refuse keys that others can read. A Secret that changes is seen in the mount
within a minute or so; certificates are read again then, keys at the next start.
*/}}
{{- define "sealgate.volumes" -}}
- name: gateway-config
  configMap:
    name: {{ include "sealgate.fullname" . }}
    items: [{key: gateway.toml, path: gateway.toml}]
- name: sidecar-config
  configMap:
    name: {{ include "sealgate.fullname" . }}
    items: [{key: sidecar.toml, path: sidecar.toml}]
- name: gateway-secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.keys.keyEncryption.existingSecret }}
          items: [{key: {{ .Values.keys.keyEncryption.key | quote }}, path: kek}]
      - secret:
          name: {{ .Values.keys.adminToken.existingSecret }}
          items: [{key: {{ .Values.keys.adminToken.key | quote }}, path: admin-token}]
      {{- with include "sealgate.tlsSecret" . }}
      - secret:
          name: {{ . }}
          items: [{key: tls.crt, path: tls/tls.crt}, {key: tls.key, path: tls/tls.key}]
      {{- end }}
      {{- include "sealgate.peer.sources" (dict "peer" .Values.upstream "dir" "upstream") | nindent 6 }}
      {{- if .Values.consentSource.base }}
      {{- include "sealgate.peer.sources" (dict "peer" .Values.consentSource "dir" "consent-source") | nindent 6 }}
      {{- end }}
      {{- if .Values.auditEvent.base }}
      {{- include "sealgate.peer.sources" (dict "peer" .Values.auditEvent "dir" "audit-event") | nindent 6 }}
      {{- end }}
- name: sidecar-secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.keys.log.existingSecret }}
          items: [{key: {{ .Values.keys.log.key | quote }}, path: log.key}]
      {{- if .Values.anchor.enabled }}
      - secret:
          name: {{ .Values.keys.publisher.existingSecret }}
          items:
            - {key: {{ .Values.keys.publisher.key | quote }}, path: publisher.key}
            {{- with .Values.keys.publisher.passwordKey }}
            - {key: {{ . | quote }}, path: publisher.password}
            {{- end }}
      {{- end }}
{{- with .Values.policy.existingConfigMap }}
- name: policies
  configMap:
    name: {{ . }}
{{- end }}
- name: run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: gateway-tmp
  emptyDir: {sizeLimit: 64Mi}
- name: sidecar-tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if not .Values.persistence.enabled }}
- name: journal
  emptyDir: {}
- name: log
  emptyDir: {}
{{- end }}
{{- end -}}

{{/* The files of a FHIR server's peer: (dict "peer" … "dir" …). */}}
{{- define "sealgate.peer.sources" -}}
{{- with .peer.bearerToken.existingSecret }}
- secret:
    name: {{ . }}
    items: [{key: {{ $.peer.bearerToken.key | quote }}, path: {{ $.dir }}/token}]
{{- end }}
{{- with .peer.clientCertificate.existingSecret }}
- secret:
    name: {{ . }}
    items: [{key: tls.crt, path: {{ $.dir }}/tls.crt}, {key: tls.key, path: {{ $.dir }}/tls.key}]
{{- end }}
{{- with .peer.ca.existingSecret }}
- secret:
    name: {{ . }}
    items: [{key: {{ $.peer.ca.key | quote }}, path: {{ $.dir }}/ca.crt}]
{{- end }}
{{- with .peer.ca.existingConfigMap }}
- configMap:
    name: {{ . }}
    items: [{key: {{ $.peer.ca.key | quote }}, path: {{ $.dir }}/ca.crt}]
{{- end }}
{{- end -}}
