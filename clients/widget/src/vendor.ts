// The vendor's SDK as a module, which the script imports where a deployment shows the vendor's faces.

export { ZegoExpressEngine } from "zego-express-engine-webrtc";
