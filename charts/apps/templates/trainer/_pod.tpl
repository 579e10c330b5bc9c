{{/* The pod of a run. It alone gets a token: with it the model of one Deployment can be changed, and nothing else. */}}
{{- define "trainer.pod" -}}
{{- $access := dict "root" . "elastic" "trainer" }}
{{- $trainer := .Values.trainer }}
restartPolicy: Never
serviceAccountName: {{ include "apps.name" "trainer" }}
automountServiceAccountToken: {{ ne .Values.inference.model.delivery "volume" }}
enableServiceLinks: false
{{- include "apps.pullSecrets" . }}
securityContext:
  {{- include "apps.podSecurity" 10001 | nindent 2 }}
# A run that is stopped in the middle of a roll-out takes it back first.
terminationGracePeriodSeconds: 120
{{- include "apps.placement" $trainer }}
containers:
  - name: trainer
    image: {{ include "apps.image" (dict "root" . "image" $trainer.image) | quote }}
    imagePullPolicy: {{ .Values.global.imagePullPolicy }}
    envFrom:
      - configMapRef: {name: {{ include "apps.name" "trainer" }}}
    {{- if .Values.registry.secret }}
    env:
      - name: TRAINER_REGISTRY_USERNAME
        valueFrom:
          secretKeyRef: {name: {{ .Values.registry.secret }}, key: username}
    {{- end }}
    resources: {{ toJson $trainer.resources }}
    securityContext:
      {{- include "apps.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- range include "trainer.moreVolumes" . | fromYamlArray }}
      - {name: {{ .name }}, mountPath: {{ index (dict "models" "/models" "registry" "/secrets/registry" "registry-ca" "/registry-ca") .name }}, readOnly: {{ ne .name "models" }}}
      {{- end }}
      {{- include "apps.accessMounts" $access | trim | nindent 6 }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: {{ $trainer.scratch }}}
  {{- include "trainer.moreVolumes" . | trim | nindent 2 }}
  {{- include "apps.accessVolumes" $access | trim | nindent 2 }}
{{- end }}

{{- define "trainer.moreVolumes" -}}
{{- if eq .Values.inference.model.delivery "volume" }}
- name: models
  persistentVolumeClaim: {claimName: {{ .Values.trainer.claimName }}}
{{- end }}
{{- if .Values.registry.secret }}
{{ include "apps.secretVolume" (list "registry" .Values.registry.secret "password") }}
{{- end }}
{{- include "apps.registryCa" . }}
{{- end }}

{{/* The volume of the registry's authority, where there is one. */}}
{{- define "apps.registryCa" -}}
{{- with .Values.registry.caConfigMap }}
- name: registry-ca
  configMap: {name: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}
