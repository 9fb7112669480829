export { ZegoExpressEngine } from "zego-express-engine-webrtc";
