{{/* Kafka and Elasticsearch: addresses, users as files. The files lie where every service looks for them. */}}

{{- define "apps.kafkaBootstrap" -}}
{{- .Values.global.kafka.bootstrap | default (printf "%s.%s.svc:9093" (include "apps.name" "kafka-bootstrap") .Release.Namespace) }}
{{- end }}

{{- define "apps.elasticsearchUrl" -}}
{{- .Values.global.elasticsearch.url | default (printf "https://%s.%s.svc:9200" (include "apps.name" "elasticsearch-http") .Release.Namespace) }}
{{- end }}

{{- define "apps.inferenceUrl" -}}
http://{{ include "apps.name" "inference" }}.{{ .Values.global.inferenceNamespace }}.svc:8000
{{- end }}

{{/* Environment of a Kafka client. Call with (dict "root" $ "prefix" "PRODUCER_" "user" "producer"). */}}
{{- define "apps.kafkaSettings" -}}
{{- $kafka := .root.Values.global.kafka }}
{{ .prefix }}KAFKA_BOOTSTRAP: {{ include "apps.kafkaBootstrap" .root | quote }}
{{ .prefix }}KAFKA_SECURITY_PROTOCOL: {{ $kafka.securityProtocol }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
{{ .prefix }}KAFKA_USERNAME: {{ (index $kafka.users .user).username }}
{{ .prefix }}KAFKA_PASSWORD_FILE: /secrets/kafka/password
{{- end }}
{{- if and (hasSuffix "SSL" $kafka.securityProtocol) $kafka.caSecret }}
{{ .prefix }}KAFKA_CA_FILE: /secrets/kafka-ca/ca.crt
{{- end }}
{{- end }}

{{/* Environment of an Elasticsearch client. Call with (dict "root" $ "prefix" "TRAINER_" "user" "trainer"). */}}
{{- define "apps.elasticSettings" -}}
{{- $elastic := .root.Values.global.elasticsearch }}
{{ .prefix }}ELASTICSEARCH_URL: {{ include "apps.elasticsearchUrl" .root | quote }}
{{- if $elastic.security }}
{{ .prefix }}ELASTICSEARCH_USERNAME: {{ (index $elastic.users .user).username }}
{{ .prefix }}ELASTICSEARCH_PASSWORD_FILE: /secrets/elasticsearch/password
{{- end }}
{{- if and (hasPrefix "https:" (include "apps.elasticsearchUrl" .root)) $elastic.caSecret }}
{{ .prefix }}ELASTICSEARCH_CA_FILE: /secrets/elasticsearch-ca/ca.crt
{{- end }}
{{- end }}

{{/* Volumes of the files above. Call with (dict "root" $ "kafka" USER "elastic" USER), either may be missing. */}}
{{- define "apps.accessVolumes" -}}
{{- $kafka := .root.Values.global.kafka }}
{{- $elastic := .root.Values.global.elasticsearch }}
{{- if .kafka }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
{{ include "apps.secretVolume" (list "kafka" (index $kafka.users .kafka).secret "password") }}
{{- end }}
{{- if and (hasSuffix "SSL" $kafka.securityProtocol) $kafka.caSecret }}
{{ include "apps.secretVolume" (list "kafka-ca" $kafka.caSecret "ca.crt") }}
{{- end }}
{{- end }}
{{- if .elastic }}
{{- if $elastic.security }}
{{ include "apps.secretVolume" (list "elasticsearch" (index $elastic.users .elastic).secret "password") }}
{{- end }}
{{- if and (hasPrefix "https:" (include "apps.elasticsearchUrl" .root)) $elastic.caSecret }}
{{ include "apps.secretVolume" (list "elasticsearch-ca" $elastic.caSecret "ca.crt") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "apps.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
    items: [{key: {{ index . 2 }}, path: {{ index . 2 }}}]
{{- end }}

{{/* Mounts of the same volumes. */}}
{{- define "apps.accessMounts" -}}
{{- range include "apps.accessVolumes" . | fromYamlArray }}
- {name: {{ .name }}, mountPath: /secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- end }}
