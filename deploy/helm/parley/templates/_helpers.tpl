{{- define "parley.fullname" -}}
{{- if contains "parley" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-parley" (.Release.Name | trunc 33 | trimSuffix "-") -}}
{{- end -}}
{{- end }}

{{- define "parley.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What pods are selected by; of the root context and a component. */}}
{{- define "parley.selector" -}}
app.kubernetes.io/name: parley
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "parley.labels" -}}
{{ include "parley.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "parley.port" -}}
{{- get (dict "gateway" 8080 "task" 50051 "speech" 50052 "avatar" 50053) . -}}
{{- end }}

{{/* How callers find all replicas of a service: the headless one has each pod's address. */}}
{{- define "parley.target" -}}
dns:///{{ include "parley.fullname" .root }}-{{ .component }}-headless:{{ include "parley.port" .component }}
{{- end }}

{{/* Where others reach a replica. */}}
{{- define "parley.address" -}}
$(POD_IP):{{ include "parley.port" . }}
{{- end }}

{{/* Settings of what protects the traffic between the processes, of the root context and a component. */}}
{{- define "parley.tls.values" -}}
{{- if ne .root.Values.tls.mode "plain" }}
{{ upper .component }}_TLS_CERTIFICATE_FILE: /tls/tls.crt
{{ upper .component }}_TLS_KEY_FILE: /tls/tls.key
{{ upper .component }}_TLS_AUTHORITIES_FILE: /tls/ca.crt
{{- else if ne .component "gateway" }}
PARLEY_PLAIN_NETWORK: "true"
{{- end }}
{{- end }}

{{/*
The variables of a component: those of the chart, which those of all processes precede, and those again
its own. Of
  root       the root context
  component  whose
  secrets    references that precede all others
*/}}
{{- define "parley.env" -}}
{{- $own := get .root.Values .component }}
{{- $values := include (printf "parley.%s.values" .component) .root | fromYaml }}
{{- $values = merge $values (include "parley.tls.values" . | fromYaml) }}
{{- $secrets := include (printf "parley.%s.secrets" .component) .root | fromYaml -}}
# First, as others refer to it.
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- range $name, $value := mustMergeOverwrite $values .root.Values.env $own.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $secret := mustMergeOverwrite $secrets $own.secretEnv (.secrets | default dict) }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}}
{{- end }}
{{- end }}

{{- define "parley.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "parley.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The parts of a pod that are the same in all, of the root context. */}}
{{- define "parley.pod" -}}
# The addresses of services as variables would be taken for settings.
enableServiceLinks: false
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "parley.podSecurity" . | nindent 2 }}
{{- end }}
