export {
  figureOf,
  type MachineProfile,
  type ProfiledMachine,
  type ProfileFigure,
  type ProfileUnit,
} from "./profile.ts";
export { profileProblems, readProfile, writeProfile } from "./profile-file.ts";
export { profileLines } from "./profile-lines.ts";
