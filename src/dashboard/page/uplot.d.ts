// The chart library is served beside the page; here are its types alone.
export { default } from "uplot";
