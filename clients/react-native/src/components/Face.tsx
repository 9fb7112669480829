// The digital human's picture.

import { useEffect, useRef, type ComponentRef } from "react";
import { findNodeHandle, StyleSheet } from "react-native";
import { RTCView } from "react-native-webrtc";
import { ZegoTextureView } from "zego-express-engine-reactnative";
import type { Picture } from "../players/screen";

export function Face({ picture }: { readonly picture: Picture }) {
  if (picture.kind === "stream") return <RTCView objectFit="cover" streamURL={picture.url} style={StyleSheet.absoluteFill} />;
  return <VendorView attach={picture.attach} />;
}

function VendorView({ attach }: { readonly attach: (viewTag: number) => void }) {
  const view = useRef<ComponentRef<typeof ZegoTextureView>>(null);
  useEffect(() => {
    const tag = findNodeHandle(view.current);
    if (tag !== null) attach(tag);
  }, [attach]);
  return <ZegoTextureView ref={view} style={StyleSheet.absoluteFill} />;
}
