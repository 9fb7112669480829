import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Concierge } from "./concierge";
import "./style.css";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Concierge />
    </StrictMode>,
  );
}
