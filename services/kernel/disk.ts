// Port for files. Paths are absolute. Errors other than "not there" are SwainErrors with code DISK_ERROR.

export interface Disk {
  /** The file's content, or null when it is not there. */
  read(path: string): Promise<string | null>;
  /** Replaces the file by write, fsync, rename and fsync of the folder, mode 0600; makes missing folders (0700). */
  writeAtomic(path: string, content: string): Promise<void>;
  /** Removes the file; one that is not there is no error. */
  remove(path: string): Promise<void>;
  /** Names in the folder, sorted; empty when it is not there. */
  list(folder: string): Promise<string[]>;
}
