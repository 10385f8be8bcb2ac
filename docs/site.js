// The search takes its text for a query language, in which "n:m" is an error: signs of it are escaped for whoever reads the
// field by script, and stay as they were typed for whoever looks at it.
document.addEventListener("focusin", ({ target }) => {
  if (target?.id !== "tsd-search-input" || Object.hasOwn(target, "value")) return;
  const typed = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  Object.defineProperty(target, "value", {
    get: () => typed.get.call(target).replace(/[:~^+\\-]/g, "\\$&"),
    set: (text) => typed.set.call(target, text),
  });
});
