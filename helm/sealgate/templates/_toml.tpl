{{/*
TOML out of values. Helm's own toToml writes whole numbers as 1024.0, which the programs refuse; so this is written here, for what a configuration
holds: strings, booleans, whole numbers, lists and tables. JSON's strings are TOML's basic strings (TOML 1.0, "String").
*/}}

{{/* A whole file out of a table of tables: what is no table comes first. A null is left out. */}}
{{- define "sealgate.toml" -}}
{{- range $name, $value := . }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $name }} = {{ include "sealgate.toml.value" $value }}
{{- end }}
{{- end }}
{{- range $name, $section := . }}
{{- if kindIs "map" $section }}

[{{ $name }}]
{{- range $key, $value := $section }}
{{- if not (kindIs "invalid" $value) }}
{{ include "sealgate.toml.key" $key }} = {{ include "sealgate.toml.value" $value }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sealgate.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toRawJson . }}{{ end -}}
{{- end -}}

{{- define "sealgate.toml.value" -}}
{{- if kindIs "map" . -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $pairs = append $pairs (printf "%s = %s" (include "sealgate.toml.key" $key) (include "sealgate.toml.value" $value)) -}}
{{- end -}}
{{- end -}}
{ {{ join ", " $pairs }} }
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . -}}
{{- $items = append $items (include "sealgate.toml.value" .) -}}
{{- end -}}
[{{ join ", " $items }}]
{{- else if kindIs "string" . -}}
{{ toRawJson . }}
{{- else if kindIs "bool" . -}}
{{ . }}
{{- else if eq (floor .) (float64 .) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{/* The keys that both tables set, as lines of dotted paths: (dict "chart" … "given" … "path" …). */}}
{{- define "sealgate.toml.collisions" -}}
{{- range $key, $value := .chart -}}
{{- if hasKey $.given $key -}}
{{- $path := ternary $key (printf "%s.%s" $.path $key) (eq $.path "") -}}
{{- $given := get $.given $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $given) -}}
{{- include "sealgate.toml.collisions" (dict "chart" $value "given" $given "path" $path) -}}
{{- else -}}
{{- printf "%s\n" $path -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
