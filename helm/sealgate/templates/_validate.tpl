{{/*
What the values must not be: every fault is listed at once, one sentence each, what is wrong and what to write. A test holds every sentence here to a
set of values that brings it about (helm/checks/contradictions.yaml).
*/}}
{{- define "sealgate.validate" -}}
{{- $v := .Values -}}
{{- $faults := list -}}
{{- $public := fromYaml (include "sealgate.public" .) -}}

{{/* one gateway, its sidecar beside it */}}
{{- if ne $v.topology "sidecar" -}}
{{- $faults = append $faults "topology is shared, which is not there yet: it needs a journal and a log in PostgreSQL; use topology: sidecar" -}}
{{- end -}}
{{- if gt (int $v.replicaCount) 1 -}}
{{- $faults = append $faults "replicaCount is above 1, but gateways do not tell each other of revocations yet, so a revoked Consent would live on in another one's cache; use replicaCount: 1" -}}
{{- end -}}

{{/* what has no default */}}
{{- if not $v.tenant -}}
{{- $faults = append $faults "tenant is missing: the name of the organisation that every commitment carries, such as north" -}}
{{- end -}}
{{- if not (regexMatch "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" $v.publicBase) -}}
{{- $faults = append $faults "publicBase is missing or no absolute URL: the base that clients use, such as https://fhir.example.org/r4" -}}
{{- else if and (hasPrefix "http://" $v.publicBase) (not $v.demo) -}}
{{- $faults = append $faults "publicBase begins with http://, so tokens and records would reach clients in clear; write https://, or demo: true for a trial" -}}
{{- end -}}
{{- if not $v.auth.issuers -}}
{{- $faults = append $faults "auth.issuers is empty, so nobody could come in: write at least one issuer with its audience" -}}
{{- end -}}
{{- if not $v.keys.keyEncryption.existingSecret -}}
{{- $faults = append $faults "keys.keyEncryption.existingSecret is missing; no key is made up: openssl rand -hex 32, into a Secret, and keep a copy elsewhere" -}}
{{- end -}}
{{- if not $v.keys.adminToken.existingSecret -}}
{{- $faults = append $faults "keys.adminToken.existingSecret is missing; no token is made up: openssl rand -hex 32, into a Secret" -}}
{{- end -}}
{{- if not $v.keys.log.existingSecret -}}
{{- $faults = append $faults "keys.log.existingSecret is missing; no key is made up: anchor-sidecar keygen log, into a Secret" -}}
{{- end -}}
{{- if not $v.log.origin -}}
{{- $faults = append $faults "log.origin is missing: the log's name for ever, such as log.example.org/north" -}}
{{- end -}}
{{- if not $v.log.verifierKey -}}
{{- $faults = append $faults "log.verifierKey is missing: the public key that anchor-sidecar keygen log printed" -}}
{{- else if not (hasPrefix (printf "%s+" $v.log.origin) $v.log.verifierKey) -}}
{{- $faults = append $faults "log.verifierKey is another log's: it must begin with log.origin and a plus sign" -}}
{{- end -}}

{{/* FHIR servers */}}
{{- if not $v.upstream.base -}}
{{- $faults = append $faults "upstream.base is missing: the base URL of the FHIR server behind" -}}
{{- end -}}
{{- if and (eq $v.auditEvent.mode "journal") $v.auditEvent.base -}}
{{- $faults = append $faults "auditEvent.base is set, but auditEvent.mode is journal: write mode: fhir, or remove the base" -}}
{{- end -}}
{{- range $name := list "upstream" "consentSource" "auditEvent" -}}
{{- $peer := get $v $name -}}
{{- if and (hasPrefix "http://" $peer.base) (not $peer.dangerPlainHttp) -}}
{{- $faults = append $faults (printf "%s.base begins with http://: write https://, or dangerPlainHttp: true where the network between the pods is yours alone" $name) -}}
{{- end -}}
{{- if and (not $peer.base) (or $peer.bearerToken.existingSecret $peer.clientCertificate.existingSecret $peer.ca.existingSecret $peer.ca.existingConfigMap) -}}
{{- $faults = append $faults (printf "%s has an identity or authorities but no base, and without a base the upstream's are used: write the base too, or remove them" $name) -}}
{{- end -}}
{{- if and $peer.ca.existingSecret $peer.ca.existingConfigMap -}}
{{- $faults = append $faults (printf "%s.ca names a Secret and a ConfigMap: keep one" $name) -}}
{{- end -}}
{{- end -}}

{{- if and $v.policy.labelSetsKey (not $v.policy.existingConfigMap) -}}
{{- $faults = append $faults "policy.labelSetsKey names a key, but policy.existingConfigMap is empty: name the ConfigMap that holds it" -}}
{{- end -}}

{{/* the chain */}}
{{- if $v.anchor.enabled -}}
{{- if not $v.keys.publisher.existingSecret -}}
{{- $faults = append $faults "keys.publisher.existingSecret is missing; no key is made up: anchor-sidecar keygen publisher, into a Secret, and fund the account that it prints" -}}
{{- end -}}
{{- if and $v.anchor.rpc $v.anchor.rpcSecret.existingSecret -}}
{{- $faults = append $faults "anchor.rpc and anchor.rpcSecret both name end points: keep one" -}}
{{- else if not (or $v.anchor.rpc $v.anchor.rpcSecret.existingSecret) -}}
{{- $faults = append $faults "anchor.rpc is missing: two JSON-RPC end points of independent operators" -}}
{{- else if and (eq (len $v.anchor.rpc) 1) (not $v.anchor.dangerSingleRpc) -}}
{{- $faults = append $faults "anchor.rpc has one end point, and one lying node can hide a fork: write two of independent operators, or dangerSingleRpc: true" -}}
{{- end -}}
{{- if not (and $v.anchor.chainId $v.anchor.contract $v.anchor.codeHash $v.anchor.logId) -}}
{{- $faults = append $faults "anchor.chainId, contract, codeHash and logId are needed together; no contract is deployed for you: anchor-sidecar deploy and anchor-sidecar register print them" -}}
{{- end -}}
{{- else if not $v.demo -}}
{{- $faults = append $faults "anchor.enabled is false, so nothing outside holds the log to its history; that is for demo: true only" -}}
{{- end -}}

{{/* volumes */}}
{{- if and (not $v.persistence.enabled) (not $v.demo) -}}
{{- $faults = append $faults "persistence.enabled is false, so journal and log would go with the pod; that is for demo: true only" -}}
{{- end -}}
{{- if and $v.persistence.enabled (ge (int $v.gateway.journalMaxGiB) (int $v.persistence.journal.sizeGiB)) -}}
{{- $faults = append $faults "gateway.journalMaxGiB is not below persistence.journal.sizeGiB: the journal must stop before the disk does" -}}
{{- end -}}

{{/* ways in */}}
{{- if and $v.tls.certManager.enabled $v.tls.existingSecret -}}
{{- $faults = append $faults "tls.existingSecret and tls.certManager.enabled both give the certificate: keep one" -}}
{{- end -}}
{{- if and $v.tls.certManager.enabled (not $v.tls.certManager.issuerRef.name) -}}
{{- $faults = append $faults "tls.certManager.issuerRef.name is missing: the cert-manager issuer that signs" -}}
{{- end -}}
{{- if $v.httpRoute.enabled -}}
{{- if not $v.httpRoute.parentRefs -}}
{{- $faults = append $faults "httpRoute.parentRefs is empty: name the Gateway that the route hangs on" -}}
{{- end -}}
{{- if and (include "sealgate.tlsSecret" .) (not $v.httpRoute.backendTls) -}}
{{- $faults = append $faults "tls is set, so a Gateway must speak TLS to the Service: give it a BackendTLSPolicy and write httpRoute.backendTls: true, or remove tls" -}}
{{- end -}}
{{- if and $v.httpRoute.hostnames (not (has $public.host $v.httpRoute.hostnames)) -}}
{{- $faults = append $faults "httpRoute.hostnames lacks the host of publicBase, so the links in answers would lead past the route" -}}
{{- end -}}
{{- end -}}
{{- if and $v.ingress.enabled $v.ingress.host (ne $v.ingress.host $public.host) -}}
{{- $faults = append $faults "ingress.host is not the host of publicBase, so the links in answers would lead past the Ingress" -}}
{{- end -}}

{{/* what the chart writes itself */}}
{{- range $section := list "gateway" "sidecar" -}}
{{- $chart := fromYaml (include (printf "sealgate.%s.settings" $section) $) -}}
{{- $given := get (get $v $section) "config" -}}
{{- range $path := splitList "\n" (include "sealgate.toml.collisions" (dict "chart" $chart "given" $given "path" "")) -}}
{{- if $path -}}
{{- $faults = append $faults (printf "%s.config sets %s, which the chart writes from its own values: set it there" $section $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* helm test */}}
{{- $access := $v.tests.access -}}
{{- if and (or $access.existingSecret $access.allowed $access.denied) (not (and $access.existingSecret $access.allowed $access.denied)) -}}
{{- $faults = append $faults "tests.access needs existingSecret, allowed and denied together, or none of them" -}}
{{- end -}}
{{- if and $access.existingSecret $v.anchor.enabled (not (or $v.tests.rpc $v.anchor.rpc)) -}}
{{- $faults = append $faults "tests.rpc is missing: with anchor.rpcSecret the test has no end point to check the proof against" -}}
{{- end -}}

{{- if $faults -}}
{{- fail (printf "\n\nthe values have %d fault(s):\n  - %s\n" (len $faults) (join "\n  - " $faults)) -}}
{{- end -}}
{{- end -}}
