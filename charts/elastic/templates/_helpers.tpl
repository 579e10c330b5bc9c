{{- define "elastic.labels" -}}
app.kubernetes.io/name: {{ .name | default "elasticsearch" }}
app.kubernetes.io/part-of: tapeline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Annotations of what must survive `helm uninstall` when the values say so. */}}
{{- define "elastic.keep" -}}
{{- if .Values.keepOnUninstall }}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{/* Full reference of an image. Call with (dict "root" $ "image" VALUES). */}}
{{- define "elastic.image" -}}
{{- $global := .root.Values.global }}
{{- $name := printf "%s/%s" $global.imageRegistry .image.repository }}
{{- if .image.digest }}{{ $name }}@{{ .image.digest }}{{ else }}{{ $name }}:{{ .image.tag | default $global.imageTag }}{{ end }}
{{- end }}

{{/* The password of a user: the one it has, else a new one. Base64, as in a Secret. */}}
{{- define "elastic.password" -}}
{{- $there := lookup "v1" "Secret" .root.Release.Namespace .secret }}
{{- if $there }}{{ index $there.data "password" }}{{ else }}{{ randAlphaNum 32 | b64enc }}{{ end }}
{{- end }}

{{/* Labels that ECK puts on the pods of a kind (elasticsearch or kibana) of our cluster. */}}
{{- define "elastic.podsOf" -}}
common.k8s.elastic.co/type: {{ . }}
{{ ternary "elasticsearch.k8s.elastic.co/cluster-name" "kibana.k8s.elastic.co/name" (eq . "elasticsearch") }}: {{ include "elastic.cluster" . }}
{{- end }}

{{/* An egress rule: names may be looked up. */}}
{{- define "elastic.dns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .dns.namespace }}
    {{- range .dns.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}
