// Where players put the picture.

/** The picture of a call: a stream of WebRTC, or what the vendor's SDK draws into a view of its own. */
export type Picture =
  | { readonly kind: "stream"; readonly url: string }
  /** `attach` takes the native tag of the view, once there is one. */
  | { readonly kind: "vendor"; readonly attach: (viewTag: number) => void };

export interface Screen {
  show(picture: Picture | null): void;
}
