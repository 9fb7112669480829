import { defineConfig } from "vite";

export default defineConfig({
  // The packages are links to folders that have a React of their own.
  resolve: { dedupe: ["react", "react-dom"] },
  // Only for the vendor's cloud; then install it and remove this line.
  build: { rollupOptions: { external: ["zego-express-engine-webrtc"] } },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8080", ws: true } } },
});
