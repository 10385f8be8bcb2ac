/** Which images a folder holds, and of which classes: one sub-folder a class, labelled in the order of their names; without any the images have no labels. */
import { badClassFolders } from "../errors.ts";
import { fileIn, isFolder, listFolder } from "../node-files.ts";

/** An image that was found and not yet read. */
export interface ImageFile {
  readonly path: string;
  /** path below the folder of the classes, with "/" between its parts */
  readonly name: string;
  readonly label: number;
}

/** The images of a dataset by split. */
export interface ImageFiles {
  /** names of the class folders; a class's label is its index; none: the images have no labels, and one split serves for both uses */
  readonly classes: readonly string[];
  readonly train: readonly ImageFile[];
  readonly test: readonly ImageFile[];
  readonly warnings: readonly string[];
}

/** What people call the folder of the training split, in lower case with "_" between words. */
const TRAIN_FOLDERS = ["train", "training", "train_set", "training_set", "trainset"];

/** The same of the test split: the first that is there is used. */
const TEST_FOLDERS = [
  ...["test", "testing", "test_set", "testing_set", "testset"],
  ...["val", "valid", "validation", "val_set", "valid_set", "validation_set", "dev", "dev_set", "eval", "holdout"],
];

/** One image in so many goes to the test split where the folder has none of its own. */
const TEST_SHARE = 5;

/** Folders in folders of a class; more is a loop of links. */
const MAX_DEPTH = 16;

/**
 * Finds the images of DIR/train and DIR/test (or val, valid, validation, dev, and other spellings in any case), or of class
 * folders directly in DIR, where about one image in five is the test split, chosen by a hash of its name, so that the same
 * files always split alike; a class none of whose images would be trained keeps its first one for training.
 * Folders inside a class folder belong to the class. Files that end in neither .png, .jpg nor .jpeg are left out.
 *
 * @throws ERR_CLASS_FOLDERS for empty class folders, classes of one split only, and folders that may be splits and not
 * classes: all with names of splits, or all with the same two or more folders inside; ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE,
 * ERR_FILE_NOT_READABLE
 */
export function findImages(folder: string): ImageFiles {
  const names = foldersIn(folder);
  const trains = names.filter((name) => TRAIN_FOLDERS.includes(plainName(name)));
  const tests = TEST_FOLDERS.flatMap((known) => names.filter((name) => plainName(name) === known));
  const [trainName] = trains;
  const [testName, ...unused] = tests;
  if (trainName !== undefined && testName !== undefined) {
    if (trains.length > 1) {
      const found = `the folders ${listOf(trains)}, each of which may be the training split`;
      throw badClassFolders({ folder, found, expected: "one of them" });
    }
    const split = splitByFolder(fileIn(folder, trainName), fileIn(folder, testName));
    const note = `${folder}: ${testName} is the test split; not used: ${listOf(unused)}`;
    return unused.length === 0 ? split : { ...split, warnings: [...split.warnings, note] };
  }
  if (names.length > 0 && names.length === trains.length + tests.length) {
    const found = `${listOf(names)}, which are names of splits and not of classes`;
    throw badClassFolders({ folder, found, expected: "a folder train and a folder test, each with class folders" });
  }
  refuseEqualInsides(folder, names);
  return (names.length === 0 ? unlabelled(folder) : undefined) ?? splitByHash(folder);
}

/** In lower case, with "_" between words. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/[-. ]+/g, "_");
}

/** Class folders may have folders of their own; the same several in each are the classes, and these are something else. */
function refuseEqualInsides(folder: string, names: readonly string[]): void {
  const insides = names.map((name) => foldersIn(fileIn(folder, name)));
  const [first] = insides;
  if (first === undefined || names.length < 2 || first.length < 2) return;
  if (!insides.every((inside) => inside.join("/") === first.join("/"))) return;
  const found = `${listOf(names)}, which all hold the folders ${listOf(first)}`;
  throw badClassFolders({
    folder,
    found,
    expected:
      "class folders; if these are splits, call them train and test, and if the inner ones are classes, put them here",
  });
}

/** The images of a folder without folders; undefined where it has none. */
function unlabelled(folder: string): ImageFiles | undefined {
  const names = listFolder(folder).filter((name) => !name.startsWith("."));
  const images = names.filter((name) => isImage(name)).map((name) => ({ path: fileIn(folder, name), name, label: 0 }));
  if (images.length === 0) return undefined;
  const others = names.filter((name) => !isImage(name));
  return { classes: [], train: images, test: images, warnings: others.length > 0 ? [leftOut(folder, others)] : [] };
}

function isImage(name: string): boolean {
  return /\.(png|jpe?g)$/i.test(name);
}

function leftOut(folder: string, others: readonly string[]): string {
  return `${folder}: ${others.length} file(s) that end in neither .png, .jpg nor .jpeg are left out: ${listOf(others)}`;
}

function splitByFolder(trainFolder: string, testFolder: string): ImageFiles {
  const classes = classFolders(trainFolder);
  const unknown = classFolders(testFolder).filter((name) => !classes.includes(name));
  if (unknown.length > 0) {
    const found = `the class folder(s) ${listOf(unknown)}, which ${trainFolder} does not have`;
    throw badClassFolders({ folder: testFolder, found, expected: "the classes of the training split" });
  }
  const train = imagesOf(trainFolder, classes);
  const test = imagesOf(testFolder, classes);
  return { classes, train: train.images, test: test.images, warnings: [...train.warnings, ...test.warnings] };
}

function splitByHash(folder: string): ImageFiles {
  const classes = classFolders(folder);
  const { images, warnings } = imagesOf(folder, classes);
  const isTrained = images.map(({ name }) => hashOf(name) % TEST_SHARE !== 0);
  const kept: string[] = [];
  for (const [label, name] of classes.entries()) {
    if (images.some((image, i) => image.label === label && isTrained[i])) continue;
    isTrained[images.findIndex((image) => image.label === label)] = true;
    kept.push(name);
  }
  const train = images.filter((_, i) => isTrained[i]);
  const test = images.filter((_, i) => !isTrained[i]);
  if (train.length === 0 || test.length === 0) {
    const found = `${images.length} image(s) and no folders train and test`;
    throw badClassFolders({ folder, found, expected: "folders train and test, or enough images to split" });
  }
  const message = `${folder}: has no folders train and test, so ${test.length} of its ${images.length} images, chosen by a hash of their names, are the test split`;
  const rare = `${folder}: no image of ${listOf(kept)} would be in the training split, so the first of each is; give classes more images, or folders train and test`;
  return { classes, train, test, warnings: [...warnings, message, ...(kept.length > 0 ? [rare] : [])] };
}

function classFolders(folder: string): readonly string[] {
  const classes = foldersIn(folder);
  if (classes.length > 0) return classes;
  const count = listFolder(folder).length;
  throw badClassFolders({
    folder,
    found: count === 0 ? "no images: the folder is empty" : `no images, and no folders among its ${count} entries`,
    expected: "class folders, or PNG and JPEG images",
  });
}

/** The images of every class, class by class and sorted by name. */
function imagesOf(folder: string, classes: readonly string[]): { images: ImageFile[]; warnings: readonly string[] } {
  const images: ImageFile[] = [];
  const others: string[] = [];
  const empty: string[] = [];
  for (const [label, name] of classes.entries()) {
    const before = images.length;
    const root = fileIn(folder, name);
    if (isFolder(root)) collect({ folder: root, name, label, depth: 0, images, others });
    if (images.length === before) empty.push(name);
  }
  if (empty.length > 0) {
    const found = `no images in ${empty.length} of ${classes.length} class folders: ${listOf(empty)}`;
    throw badClassFolders({ folder, found, expected: "at least one PNG or JPEG image in each" });
  }
  return { images, warnings: others.length > 0 ? [leftOut(folder, others)] : [] };
}

function collect(spec: {
  folder: string;
  name: string;
  label: number;
  depth: number;
  images: ImageFile[];
  others: string[];
}): void {
  const { folder, name, label, depth, images, others } = spec;
  for (const entry of listFolder(folder)) {
    if (entry.startsWith(".")) continue;
    const path = fileIn(folder, entry);
    const inner = `${name}/${entry}`;
    if (isImage(entry) && !isFolder(path)) images.push({ path, name: inner, label });
    else if (!isFolder(path)) others.push(inner);
    else if (depth < MAX_DEPTH) collect({ ...spec, folder: path, name: inner, depth: depth + 1 });
    else throw badClassFolders({ folder: path, found: `folders nested deeper than ${MAX_DEPTH}`, expected: "fewer" });
  }
}

function foldersIn(folder: string): readonly string[] {
  return listFolder(folder).filter((name) => !name.startsWith(".") && isFolder(fileIn(folder, name)));
}

/** At most eight names of a list, and how many more there are. */
export function listOf(names: readonly string[]): string {
  return `${names.slice(0, 8).join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}`;
}

/** FNV-1a over the UTF-8 bytes, 32 bits, mixed at the end since its low bits alone are weak. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
