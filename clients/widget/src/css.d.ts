// Vite gives a style sheet's text.

declare module "*.css?inline" {
  const css: string;
  export default css;
}
