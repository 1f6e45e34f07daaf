export type {
  Amount,
  DataRequirements,
  DecisionRecord,
  FanOut,
  OperationRequirements,
  PathStep,
  PlannedKind,
  PlannedPart,
  PriceList,
  Quantity,
  Requirements,
  StatedAssumption,
} from "./declaration.ts";
