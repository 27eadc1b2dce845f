// Python in the browser: Pyodide, the package, and `answer_text` for each task. Ended from outside.
async function begin() {
  const setting = await (await fetch("setting.json")).json();
  const home = new URL(setting.pyodide, self.location);
  const packages = fetch(setting.packages).then((found) => found.arrayBuffer());
  const { loadPyodide } = await import(new URL("pyodide.mjs", home));
  const python = await loadPyodide({ indexURL: home.href, packages: ["numpy"] });
  python.unpackArchive(await packages, "zip", { extractDir: "/packages" });
  python.runPython("import sys; sys.path.insert(0, '/packages')\nfrom tinygrad_edu.workbench.answering import answer_text");
  return python.globals.get("answer_text");
}

const started = begin();
started.then(() => postMessage({ ready: true }), (error) => postMessage({ failed: String(error) }));
onmessage = async ({ data: { id, ...task } }) => {
  const answer = await started;
  postMessage({ id, answer: JSON.parse(answer(JSON.stringify(task))) });
};
