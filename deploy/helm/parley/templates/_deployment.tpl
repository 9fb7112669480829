{{/*
A process: its Deployment, of
  root       the root context
  component  gateway, task, speech or avatar
  module     what Python runs
  values     its settings by name
  secrets    its settings in secrets by name
  probes     its startup, readiness and liveness probes
  grace      seconds that it may take from SIGTERM to its end
  models     whether it reads the embedded models
*/}}
{{- define "parley.deployment" -}}
{{- $root := .root }}
{{- $own := get $root.Values .component }}
{{- $values := mustMergeOverwrite (deepCopy .values) $root.Values.env $own.env }}
{{- $secrets := mustMergeOverwrite (deepCopy .secrets) $own.secretEnv }}
{{- $models := .models | default false }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "parley.fullname" $root }}-{{ .component }}
  labels:
    {{- include "parley.labels" . | nindent 4 }}
spec:
  {{- if not $own.autoscaling.enabled }}
  replicas: {{ $own.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "parley.selector" . | nindent 6 }}
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels:
        {{- include "parley.labels" . | nindent 8 }}
      {{- with $own.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "parley.pod" $root | nindent 6 }}
      terminationGracePeriodSeconds: {{ add $root.Values.preStopSeconds .grace }}
      {{- if $models }}
      {{- if $root.Values.speech.models.download }}
      initContainers:
        - name: models
          image: {{ include "parley.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [parley, models, pull]
          env:
            {{- include "parley.env" (dict "values" (omit $values "SPEECH_ADVERTISED_ADDRESS")) | trim | nindent 12 }}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          securityContext:
            {{- include "parley.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: models, mountPath: /models}
      {{- end }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "parley.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [python, -m, {{ .module }}]
          env:
            # First, as the variables below refer to it.
            - name: POD_IP
              valueFrom: {fieldRef: {fieldPath: status.podIP}}
            {{- include "parley.env" (dict "values" $values "secrets" $secrets) | trim | nindent 12 }}
          ports:
            - {name: {{ eq .component "gateway" | ternary "http" "grpc" }}, containerPort: {{ include "parley.port" .component }}}
            - {name: metrics, containerPort: {{ $root.Values.monitoring.port }}}
          {{- toYaml .probes | nindent 10 }}
          lifecycle:
            preStop: {exec: {command: [sleep, {{ $root.Values.preStopSeconds | quote }}]}}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          securityContext:
            {{- include "parley.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if $models }}
            - {name: models, mountPath: /models}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if $models }}
        - name: models
          {{- if $root.Values.speech.models.existingClaim }}
          persistentVolumeClaim: {claimName: {{ $root.Values.speech.models.existingClaim }}}
          {{- else }}
          emptyDir: {sizeLimit: {{ $root.Values.speech.models.sizeLimit }}}
          {{- end }}
        {{- end }}
      topologySpreadConstraints:
        {{- range $root.Values.topologyKeys }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "parley.selector" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- with $own.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}

{{/* The probes of a gRPC service, of its port and the seconds that its start may take. */}}
{{- define "parley.grpcProbes" -}}
startupProbe:
  grpc: {port: {{ .port }}}
  periodSeconds: 2
  failureThreshold: {{ div .startSeconds 2 }}
readinessProbe:
  grpc: {port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  grpc: {port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  # Busy cores are not a reason to start anew.
  failureThreshold: 6
{{- end }}
