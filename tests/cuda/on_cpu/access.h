// Around whatever a device does to its memory: a device that guards it lets go of it meanwhile.
#pragma once

namespace on_cpu {

void begin_access();
void end_access();

class Access {
 public:
  Access() { begin_access(); }
  ~Access() { end_access(); }
};

}  // namespace on_cpu
